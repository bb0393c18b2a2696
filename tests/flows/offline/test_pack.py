"""What lies in a pack, and what is refused before one is written."""

import importlib.metadata
import json
import tarfile

import pytest
from hand_made_sets import images_set, provenance
from typer.testing import CliRunner

from spinforge.datasets.products.iseg import ISeg, ISegSubjects
from spinforge.datasets.products.making import is_done, split_of
from spinforge.datasets.storage.verify import verify_store
from spinforge.flows.cli import app
from spinforge.flows.config import load_study, study_yaml
from spinforge.flows.offline.form import PACK_NOTE, PackNote, read_note
from spinforge.flows.offline.pack import pack
from spinforge.flows.offline.requirements import NOT_NEEDED, names_in, requirements
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder
from spinforge.simulation.errors import SpinforgeError


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    """The finished study in a pack."""
    study, _ = finished
    folder = tmp_path_factory.mktemp("packed") / "pack"
    pack(study, folder)
    return folder


def test_every_file_is_named_with_its_checksum(packed):
    note = read_note(packed, PACK_NOTE, PackNote, packed)
    there = {p.relative_to(packed).as_posix() for p in packed.rglob("*") if p.is_file()}
    assert there == {*note.files, PACK_NOTE}
    assert there >= {"run.py", "study.yaml", "requirements.txt", "README.md"}
    assert "code/spinforge/models/training/fit.py" in there


def test_the_set_in_it_is_whole_and_the_same(packed, finished):
    study, answer = finished
    carried = load_study(packed / "study.yaml", [f"out={packed / 'runs'}"])
    store = RunFolder.of(carried).store
    assert store.digest(split_of(carried.data).everyone) == answer["dataset_digest"]
    assert verify_store(store.path) == []
    assert network_folder(carried, carried.networks[0]).name == (
        network_folder(study, study.networks[0]).name
    )


def test_two_archives_of_a_study_are_the_same_bytes(finished, packed, tmp_path):
    study, _ = finished
    for name in ("one.tar", "two.tar"):
        pack(study, tmp_path / name)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        assert archive.getnames()[-1] == PACK_NOTE  # what says that all is there comes last
        assert archive.extractfile("study.yaml").read() == (packed / "study.yaml").read_bytes()


def test_no_path_of_this_machine_goes_along(packed, finished):
    study, _ = finished
    for name in ("study.yaml", "README.md", "run.py", "requirements.txt", PACK_NOTE):
        assert str(study.out) not in (packed / name).read_text()


def test_data_may_stay_behind(finished, tmp_path):
    study, answer = finished
    note = pack(study, tmp_path / "pack", with_data=False)
    assert note.dataset_digest == answer["dataset_digest"]
    assert not (tmp_path / "pack" / "runs").exists()
    assert answer["dataset_digest"] in (tmp_path / "pack" / "README.md").read_text()


def test_corruption_sets_stay_behind_and_leave_a_whole_set(finished, copy, tmp_path):
    store = RunFolder.of(copy).store
    (subject, *_) = store.complete_subjects()
    path = store.location.at("manifest.json")
    noted = json.loads(path.read_text())
    extra = {"corrupt/noise/3/" + subject: noted[f"kspace/{subject}"]}
    path.write_text(json.dumps(noted | extra, indent=2) + "\n")
    store.location.write("corrupt/noise/3/zarr.json", b"{}")
    pack(copy, tmp_path / "pack")
    assert verify_store(tmp_path / "pack" / "runs" / "tiny" / "dataset.zarr") == []


def test_a_place_that_is_taken_is_refused(finished, packed):
    study, _ = finished
    with pytest.raises(SpinforgeError, match=r"--to .*pack is there already. Name a new folder"):
        pack(study, packed)


def test_a_study_without_its_set_is_refused(tiny, tmp_path):
    with pytest.raises(SpinforgeError, match=r"is not a Spinforge dataset\. Make one with"):
        pack(tiny, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_a_damaged_pack_and_a_folder_that_is_none_are_named(packed, tmp_path):
    with pytest.raises(SpinforgeError, match=r"is not a packed study: it has no pack.json"):
        read_note(tmp_path, PACK_NOTE, PackNote, tmp_path)
    note = json.loads((packed / PACK_NOTE).read_text())
    (tmp_path / PACK_NOTE).write_text(json.dumps(note | {"files": {"run.py": "0" * 64}}))
    (tmp_path / "run.py").write_text("")
    with pytest.raises(SpinforgeError, match=r"is damaged: run.py is missing or changed. Copy it"):
        read_note(tmp_path, PACK_NOTE, PackNote, tmp_path)
    (tmp_path / PACK_NOTE).write_text(json.dumps(note | {"files": {"../run.py": "0" * 64}}))
    with pytest.raises(SpinforgeError, match=r"names ../run.py, a file outside it"):
        read_note(tmp_path, PACK_NOTE, PackNote, tmp_path)
    (tmp_path / PACK_NOTE).write_text(json.dumps(note | {"files": {"code/../run.py": "0" * 64}}))
    with pytest.raises(SpinforgeError, match=r"names code/../run.py, a file outside it"):
        read_note(tmp_path, PACK_NOTE, PackNote, tmp_path)
    (tmp_path / PACK_NOTE).write_text(json.dumps(note | {"version": 2}))
    with pytest.raises(SpinforgeError, match=r"is not a packed study that this version"):
        read_note(tmp_path, PACK_NOTE, PackNote, tmp_path)


def test_requirements_are_pinned_and_without_services():
    lines = requirements("3.12")
    names = {line.partition("==")[0] for line in lines}
    assert names >= {"torch", "lightning", "zarr", "pydantic", "numcodecs"}
    assert not names & NOT_NEEDED - {"jinja2"}  # torch needs that itself
    assert f"zarr=={importlib.metadata.version('zarr')}" in lines
    assert all("+" not in line for line in lines)


def test_what_the_machine_has_is_left_out_with_all_it_needs():
    there = names_in("torch==2.11.0\nLightning==2.6.6  # there\n-e ./x\n\nnumpy==2.0\n", "list")
    assert there == {"torch", "lightning", "numpy"}
    names = {line.partition("==")[0] for line in requirements("3.12", there=there)}
    assert not names & {"torch", "lightning", "numpy", "torchmetrics", "sympy"}
    assert {line.partition("==")[0] for line in requirements("3.12", extras=["monai"])} > names
    with pytest.raises(SpinforgeError, match=r"list, line 2: 'a b' is no line of `pip list"):
        names_in("torch==2.11.0\na b\n", "list")


def test_a_set_needs_its_files_no_more_where_they_are_gone(tmp_path):
    groups = {"train": ("head-000",), "validation": ("head-001",), "test": ("head-002",)}
    named = ISeg(product="iseg", path=tmp_path / "gone", subjects=ISegSubjects(**groups))
    assert split_of(named).model_dump() == groups
    numbers = named.model_copy(update={"subjects": ISegSubjects()})
    with pytest.raises(SpinforgeError, match="gone"):
        split_of(numbers)
    store = images_set(tmp_path / "set.zarr", subjects=())
    note = provenance(named.config_hash)
    store.write_subject("head-000", {}, note)
    assert is_done(named, store, "head-000")
    with pytest.raises(SpinforgeError, match="was made from another configuration"):
        is_done(named.model_copy(update={"seed": 1}), store, "head-000")


def test_the_command_checks_its_options(tiny_file, tmp_path):
    for options, said in (
        (["--python", "three"], "--python three: write it as 3.12"),
        (["--there", str(tmp_path / "none")], "cannot be read"),
    ):
        done = CliRunner().invoke(app, ["pack", str(tiny_file), "--to", "x", *options])
        assert done.exit_code == 2
        assert said in done.output


def test_the_study_in_a_pack_reads_back(packed):
    carried = load_study(packed / "study.yaml")
    assert (packed / "study.yaml").read_text() == study_yaml(carried)
    assert carried.data.subjects.train == ("head-000", "head-001")
