"""spinforge predict: the commands of its page, and one line for everything that does not fit."""

import json
import re
import shlex
from pathlib import Path

import hand_made_kspace
import nibabel
import numpy as np
import pytest
import torch
from planted import CLASSES, asymmetric, image_format, write_stored
from typer.testing import CliRunner

from spinforge.datasets.export.ismrmrd_file import write_ismrmrd
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.slice_format import image_planes
from spinforge.flows.cli import app
from spinforge.models.networks import NetworkConfig, build_network
from spinforge.models.seranet.baselines import ZeroFillingConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import save_network
from spinforge.simulation.sampling import Gaussian1D

PAGE = (Path(__file__).parents[2] / "docs" / "predict.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)
UNET = UNetConfig(kind="unet", width=2)
CONTRASTS = ("T1", "T2", "PD")
MM_XYZ = (1.0, 2.0, 4.0)


def saved(path: Path, config: NetworkConfig, reads, seed: int = 0) -> None:
    """A network that was never trained; its file is like any other."""
    sizes = {"in_channels": len(reads.channels), "n_classes": len(reads.class_names)}
    network = build_network(config, seed=seed, **sizes)
    save_network(path, network.state_dict(), config, reads=reads, **sizes)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Networks, scans, raw data and a set, as the page calls them."""
    folder = tmp_path_factory.mktemp("predict")
    planes = image_planes(("axial", "coronal"), (3.0, 1.0, 1.0))
    reads = image_format(channels=CONTRASTS, planes=planes, is_brain_only=True)
    saved(folder / "crdn.pt", UNET, reads)
    saved(folder / "heads.pt", UNET, reads.model_copy(update={"is_brain_only": False}))
    labels = asymmetric((8, 18, 20)).astype(np.float32)
    for number, name in enumerate(CONTRASTS):
        values = (labels + number) * 10
        write_stored(folder / f"sub-01_{name}w.nii.gz", values, "LPS", MM_XYZ)
        write_stored(folder / f"{'abc'[number]}.nii", values, "PIR", MM_XYZ)
    write_stored(folder / "sub-01_mask.nii.gz", labels > 0, "LPS", MM_XYZ)
    store = hand_made_kspace.kspace_set(folder / "runs" / "brains" / "dataset.zarr")
    slices = ZeroFilledSlices(store.path, ("head-000",), sampling=Gaussian1D(), masks="fixed")
    for seed, name in enumerate("ab"):
        saved(folder / f"{name}.pt", UNET, slices.format, seed)
    measured = slices.showing("measurement").format
    saved(folder / "lines.pt", ZeroFillingConfig(kind="zero_filling", width=2), measured)
    write_ismrmrd(hand_made_kspace.raw_scan(), folder / "scan.h5")
    return folder


def called(*arguments: object) -> tuple[int, str]:
    """Exit code, and all the command said."""
    done = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    return done.exit_code, done.output


def commands() -> list[list[str]]:
    return [shlex.split(line)[2:] for line in BLOCKS[0][1].splitlines()]


@pytest.fixture
def there(made, tmp_path, monkeypatch) -> Path:
    """The folder of all these is where commands are run; the place for results."""
    monkeypatch.chdir(made)
    return tmp_path / "out"


@pytest.mark.parametrize("number", range(4))
def test_commands_of_the_page_work(number, there):
    arguments = commands()[number]
    arguments[arguments.index("--to") + 1] = str(there)
    code, said = called(*arguments, "--json")
    assert code == 0, said
    ((name, answer),) = json.loads(said).items()
    assert {Path(path).name for key, path in answer.items() if key != "notes"} == {
        path.name for path in there.iterdir()
    }
    assert ("entropy" in answer) == ("--uncertainty" in arguments)
    assert ("probabilities" in answer) == ("--probabilities" in arguments)
    assert name == ["sub-01_T1w", "a", "head-000", "scan"][number]
    description = json.loads(Path(answer["description"]).read_text())
    assert tuple(description["classes"].values()) == CLASSES
    assert len(description["networks"]) == arguments.count("--network")
    labels = nibabel.load(answer["labels"])
    assert labels.get_data_dtype() == np.uint8
    assert labels.shape == [(20, 18, 8), (18, 8, 20), (20, 22, 3), (20, 22, 3)][number]


def test_python_of_the_page_works(there, made, tmp_path, monkeypatch, capsys):
    for path in (made / "crdn.pt", *made.glob("sub-01_*")):
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[1][1], "docs/predict.md", "exec"), {})
    assert "(4, 8, 18, 20)" in capsys.readouterr().out
    code, said = called(*commands()[0][:-1], there)
    assert code == 0, said
    ours, theirs = (
        nibabel.load(path) for path in ("labels.nii.gz", there / "sub-01_T1w_dseg.nii.gz")
    )
    np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))


def test_raw_data_and_their_set_get_the_same_labels(there):
    """And the file of raw data says where the head lay."""
    for place in ("scan.h5", "runs/brains/dataset.zarr"):
        code, said = called(place, "--network", "lines.pt", "--to", there)
        assert code == 0, said
    first, second = (nibabel.load(there / f"{name}_dseg.nii.gz") for name in ("scan", "head-000"))
    np.testing.assert_array_equal(np.asarray(first.dataobj), np.asarray(second.dataobj))
    # Positions in the file are single precision.
    np.testing.assert_allclose(first.affine, second.affine, rtol=1e-6, atol=1e-5)


SCANS = ("sub-01_T1w.nii.gz", "sub-01_T2w.nii.gz", "sub-01_PDw.nii.gz")
MASK = "sub-01_mask.nii.gz"
TWICE = ("--network", "crdn.pt", "--network", "./crdn.pt")
SET = "runs/brains/dataset.zarr"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*SCANS, "--network", "gone.pt"], "gone.pt does not exist"),
        ([*SCANS, "--network", "short.pt"], "short.pt is damaged"),
        ([*SCANS, "--network", "last.ckpt"], "last.ckpt is a checkpoint to go on training from"),
        ([*SCANS, "--network", "mixed.pt"], "its weights are those of another one than its conf"),
        ([*SCANS, "--network", "old.pt"], "old.pt does not say what its images must be"),
        ([*SCANS, "--network", "a.pt"], "phase a magnitude image does not have"),
        ([*SCANS, "--network", "lines.pt"], "starts from k-space, and this scan is images"),
        ([SCANS[0], "--network", "crdn.pt"], "1 channel (T1); the network reads 3 channels"),
        (["a.nii", "--network", "crdn.pt"], "1 image file given, the network reads 3 (T1, T2, PD)"),
        ([*SCANS[:2], "PD=gone.nii", "--network", "crdn.pt"], "gone.nii does not exist"),
        ([*SCANS[:2], "pd=small.nii", "--network", "crdn.pt"], "not of the same grid"),
        ([*SCANS, "--network", "crdn.pt", "--view", "sagittal"], "learned axial, coronal slices"),
        ([*SCANS, "--network", "crdn.pt", "--subject", "x"], "--subject is for a set"),
        ([*SCANS, "--network", "crdn.pt", "--network", "a.pt"], "do not make an ensemble"),
        ([*SCANS, *TWICE], "crdn.pt is given twice as a network"),
        ([*SCANS, "--network", "heads.pt", "--brain", MASK], "learned from whole heads"),
        ([*SCANS, "scan.h5", "--network", "crdn.pt"], "scan.h5: several files must be images of"),
        (
            ["scan.h5", "--network", "crdn.pt"],
            "reads images (T1, T2, PD), and this scan is k-space",
        ),
        (["scan.h5", "--network", "a.pt", "--view", "axial"], "--view is for images"),
        (["crdn.pt", "--network", "crdn.pt"], "crdn.pt is no scan that can be read"),
        ([SET, "--network", "crdn.pt"], "holds k-space; the network reads images (T1, T2, PD)"),
        ([SET, "--network", "a.pt", "--subject", "head-9"], "no complete subject 'head-9'"),
        (["gone.zarr", "--network", "a.pt"], "gone.zarr"),
    ],
)
def test_what_does_not_fit_ends_with_one_line_before_any_work(arguments, message, there, made):
    if "short.pt" in arguments:
        (made / "short.pt").write_bytes((made / "a.pt").read_bytes()[:-100])
    if "last.ckpt" in arguments:
        torch.save({"pytorch-lightning_version": "2.6.6", "state_dict": {}}, made / "last.ckpt")
    if "mixed.pt" in arguments:
        content, other = (
            torch.load(made / name, weights_only=True) for name in ("crdn.pt", "lines.pt")
        )
        torch.save(content | {"state_dict": other["state_dict"]}, made / "mixed.pt")
    if "old.pt" in arguments:
        network = build_network(UNET, in_channels=3, n_classes=4, seed=0)
        save_network(made / "old.pt", network.state_dict(), UNET, in_channels=3, n_classes=4)
    if "pd=small.nii" in arguments:
        write_stored(made / "small.nii", asymmetric().astype(np.float32), "LPS", MM_XYZ)
    code, said = called(*arguments, "--to", there)
    assert code == 2, said
    assert message in said
    assert len(said.splitlines()) == 1
    assert not there.exists()


def test_results_never_replace_what_was_read(made, tmp_path, monkeypatch):
    for path in (made / "crdn.pt", *made.glob("sub-01_*")):
        (tmp_path / path.name.replace("mask", "T1w_dseg")).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    mask = tmp_path / "sub-01_T1w_dseg.nii.gz"
    before = mask.read_bytes()
    code, said = called(*SCANS, "--network", "crdn.pt", "--brain", mask.name, "--to", ".")
    assert (code, "would be replaced by a result" in said) == (2, True), said
    assert mask.read_bytes() == before


def test_results_never_lie_in_the_set(there):
    code, said = called(SET, "--network", "a.pt", "--to", f"{SET}/labels")
    assert (code, "lies in the set" in said) == (2, True)
