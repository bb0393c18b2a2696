"""A study is packed, run without Prefect and MLflow, and brought back."""

import json
import os
import shutil
import subprocess
import sys
import tarfile

import pandas as pd
import pytest
import torch
from mlflow.tracking import MlflowClient

from spinforge.flows.config import load_study
from spinforge.flows.offline.archive import unpacked, write_files
from spinforge.flows.offline.collect import collect, record
from spinforge.flows.offline.form import RESULTS, RESULTS_NOTE
from spinforge.flows.offline.pack import pack
from spinforge.flows.offline.readme import RUN
from spinforge.flows.offline.requirements import NOT_NEEDED
from spinforge.flows.offline.run import main, write_results
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder, scores_folder
from spinforge.flows.tracking import default_uri
from spinforge.models.weights import load_network
from spinforge.simulation.errors import SpinforgeError


@pytest.fixture(scope="module")
def results(finished, tmp_path_factory):
    """What the finished study would send home."""
    study, answer = finished
    return write_results(study, answer["dataset_digest"], tmp_path_factory.mktemp("results"))


def changed(results, folder, change):
    """The results with another file or note."""
    with unpacked(results) as there:
        change(there)
        files = [(p.relative_to(there).as_posix(), p) for p in sorted(there.rglob("*"))]
        path = folder / "changed.tar"
        write_files(path, ((name, p.read_bytes()) for name, p in files if p.is_file()))
    return path


def note_with(**changes):
    def change(folder):
        note = json.loads((folder / RESULTS_NOTE).read_text())
        (folder / RESULTS_NOTE).write_text(json.dumps(note | changes))

    return change


def test_results_take_their_places_and_may_be_collected_again(results, untrained, finished):
    for _ in range(2):
        note = collect(untrained, results)
        assert set(note.networks) == {"unet", "crdn"}
        for network in untrained.networks:
            for folder_of, name in (
                (network_folder, "network.pt"),
                (network_folder, "history.csv"),
                (network_folder, "training.json"),
                (scores_folder, "cases.parquet"),
                (scores_folder, "predictions.npz"),
            ):
                here, there = (folder_of(s, network) / name for s in (untrained, finished[0]))
                assert here.read_bytes() == there.read_bytes()


def test_results_of_a_gpu_on_several_machines_are_recorded_without_either(
    results, untrained, finished, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    there = {"device": "gpu", "devices": 2, "nodes": 2, "cuda_graphs": True}
    training = untrained.training.model_copy(update=there)
    study = untrained.model_copy(update={"training": training})
    assert record(study, collect(study, results)) == finished[1]["dice"]


def test_results_of_another_set_or_recipe_are_refused(results, untrained, tmp_path):
    other = changed(results, tmp_path, note_with(dataset_digest="0" * 64))
    with pytest.raises(SpinforgeError, match=r"was made from another data set than study tiny"):
        collect(untrained, other)
    with pytest.raises(SpinforgeError, match=r"holds network unet as unet-.*recipe, seed or code"):
        collect(untrained.model_copy(update={"seed": 1}), results)
    only = untrained.model_copy(update={"networks": untrained.networks[:1]})
    with pytest.raises(SpinforgeError, match=r"holds network crdn .* has no network of this name"):
        collect(only, results)
    assert not RunFolder.of(untrained).networks.exists()


def test_a_network_that_was_trained_here_too_is_never_replaced(results, copy, finished):
    assert set(collect(copy, results).networks) == {"unet", "crdn"}  # the same weights
    file = network_folder(copy, copy.networks[0]) / "network.pt"
    content = torch.load(file, weights_only=True)
    next(iter(content["state_dict"].values())).add_(1)
    torch.save(content, file)
    before = file.read_bytes()
    with pytest.raises(SpinforgeError, match=r"unet was trained here, too, with other weights"):
        collect(copy, results)
    assert file.read_bytes() == before


def test_damaged_and_foreign_archives_are_named(results, untrained, tmp_path):
    with pytest.raises(SpinforgeError, match=r"results.tar does not exist"):
        collect(untrained, tmp_path)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(results.read_bytes()[:70_000])
    with pytest.raises(
        SpinforgeError, match=r"cut.tar cannot be unpacked|cut.tar is (damaged|not)"
    ):
        collect(untrained, cut)
    cut.write_bytes(b"no archive" * 100)
    with pytest.raises(SpinforgeError, match=r"cut.tar cannot be unpacked: .*Copy it again"):
        collect(untrained, cut)
    write_files(tmp_path / "foreign.tar", [("a.txt", b"")])
    with pytest.raises(SpinforgeError, match=r"not the results of a packed study: it has no res"):
        collect(untrained, tmp_path / "foreign.tar")

    def damage(folder):
        (file,) = folder.glob("networks/unet-*/network.pt")
        file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(SpinforgeError, match=r"network.pt is missing or changed. Copy it again"):
        collect(untrained, changed(results, tmp_path, damage))


def test_an_archive_cannot_write_outside_its_folder(untrained, tmp_path):
    path = tmp_path / "evil.tar"
    for name, link in (("../evil", None), ("link", "/etc/passwd")):
        with tarfile.open(path, "w") as archive:
            member = tarfile.TarInfo(name)
            if link:
                member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member)
        with pytest.raises(SpinforgeError, match=r"evil.tar cannot be unpacked"):
            collect(untrained, path)


BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def test_a_pack_uses_neither_service_where_both_are_installed(tmp_path):
    started = RUN.partition("if __name__")[0]
    ask = "from spinforge.flows.orchestration import Tracker, flow"
    say = "print(Tracker.__module__, flow.__module__)"
    (tmp_path / "run.py").write_text(f"{started}\n{ask}\n{say}\n")
    said = subprocess.run(
        [sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    wanted = ["spinforge.flows.untracked", "spinforge.flows.orchestration"]
    assert said.stdout.split() == wanted, said.stderr


@pytest.mark.slow
def test_a_pack_run_without_services_brings_home_what_the_study_itself_finds(
    finished, untrained, tmp_path
):
    study, answer = finished
    folder = tmp_path / "elsewhere" / "pack"
    pack(untrained, folder)
    absent = set(NOT_NEEDED) - {"matplotlib"}  # torchmetrics imports it where it is installed
    (tmp_path / "sitecustomize.py").write_text(BLOCKER.format(blocked=absent))
    done = subprocess.run(
        [sys.executable, "run.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "runs" / "mlflow.db").exists()

    note = collect(untrained, folder)
    assert record(untrained, note) == answer["dice"]
    for network in study.networks:
        here, there = (network_folder(s, network) / "network.pt" for s in (untrained, study))
        ours, theirs = (load_network(path).network.state_dict() for path in (here, there))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        tables = [
            pd.read_parquet(scores_folder(s, network) / "cases.parquet") for s in (untrained, study)
        ]
        pd.testing.assert_frame_equal(*tables, check_exact=True)

    before = runs_of(default_uri(untrained))
    assert set(before) == {"tiny", "unet", "crdn"}
    for name in ("unet", "crdn"):
        run, direct = before[name], runs_of(answer["mlflow"])[name]
        assert run.data.tags["version.zarr"] == note.machine["version.zarr"]
        assert run.data.metrics == pytest.approx(direct.data.metrics, rel=1e-6)  # CSV: 7 digits
        digests = [
            {(d.tags[0].value, d.dataset.digest) for d in r.inputs.dataset_inputs}
            for r in (run, direct)
        ]
        assert digests[0] == digests[1]
    assert record(untrained, collect(untrained, folder)) == answer["dice"]
    after = runs_of(default_uri(untrained))
    assert {n: r.info.run_id for n, r in after.items()} == {
        n: r.info.run_id for n, r in before.items()
    }


def runs_of(uri):
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("spinforge")
    return {r.info.run_name: r for r in client.search_runs([experiment.experiment_id])}


def test_a_pack_with_another_set_or_a_changed_file_does_not_start(finished, tmp_path, capsys):
    study, _ = finished
    here = os.getcwd()
    try:
        pack(study, tmp_path / "pack", with_data=False)
        assert main(tmp_path / "pack", []) == 2
        assert "is not a Spinforge dataset" in capsys.readouterr().err
        store = RunFolder.of(study).store
        shutil.copytree(store.path, tmp_path / "pack" / "runs" / "tiny" / "dataset.zarr")
        assert main(tmp_path / "pack", ["--network", "vnet"]) == 2
        assert "no network is named 'vnet'" in capsys.readouterr().err
        assert main(tmp_path / "pack", ["--set", "training.epochs=3"]) == 2
        assert "this is another training than was packed" in capsys.readouterr().err
        text = (tmp_path / "pack" / "study.yaml").read_text()
        (tmp_path / "pack" / "study.yaml").write_text(text.replace("epochs: 2", "epochs: 3"))
        assert main(tmp_path / "pack", []) == 2
        assert "study.yaml is missing or changed" in capsys.readouterr().err
    finally:
        os.chdir(here)
    assert load_study(tmp_path / "pack" / "study.yaml").training.epochs == 3


def test_the_results_archive_lies_where_the_readme_says(results):
    assert results.name == RESULTS
