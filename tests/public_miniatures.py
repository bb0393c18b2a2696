"""Miniatures of public collections: their folders, names, formats and label values; own voxels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from spinforge.datasets.public.hvsmr import HVSMR
from spinforge.datasets.public.iseg import ISeg2017, ISeg2019
from spinforge.datasets.public.mrbrains import MRBrainS13, MRBrainS18
from spinforge.datasets.public.spleen import MSDSpleen
from spinforge.datasets.volumes import VolumeSource

SHAPE = (4, 6, 8)  # z, y, x
SPACING = (3.0, 0.9, 0.8)  # z, y, x [mm]
ORIGIN = (-10.0, 20.0, 5.0)  # x, y, z [mm]


def image(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Integers, so that every format keeps them."""
    return np.random.default_rng(seed).integers(1, 1000, shape).astype(np.float32)


def labels(values: tuple[int, ...], shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Every value, nowhere symmetric."""
    return np.resize(np.array(values, dtype=np.uint8), shape)


def ras_affine() -> np.ndarray:
    affine = np.diag([*SPACING[::-1], 1.0])
    affine[:3, 3] = ORIGIN
    return affine


def stored(zyx: np.ndarray, codes: str) -> tuple[np.ndarray, np.ndarray]:
    """An array (z, y, x) as scanners store it, and its affine; written out by hand."""
    ras, affine = zyx.transpose(2, 1, 0), ras_affine()
    nx, ny, nz = ras.shape
    sx, sy, sz = SPACING[::-1]
    x, y, z = ORIGIN
    if codes == "RAS":
        return ras, affine
    if codes == "LAS":
        return ras[::-1], np.array(
            [[-sx, 0, 0, x + (nx - 1) * sx], [0, sy, 0, y], [0, 0, sz, z], [0, 0, 0, 1]]
        )
    if codes == "PIR":
        return ras.transpose(1, 2, 0)[::-1, ::-1], np.array(
            [
                [0, 0, sx, x],
                [-sy, 0, 0, y + (ny - 1) * sy],
                [0, -sz, 0, z + (nz - 1) * sz],
                [0, 0, 0, 1],
            ]
        )
    raise AssertionError(codes)


def write_volume(
    path: Path, zyx: np.ndarray, *, codes: str = "LAS", placed: bool = True, axes: int = 3
) -> None:
    """Write a NIfTI file, or an Analyze pair if the name ends with .hdr.

    Args:
        path: File.
        zyx: (z, y, x) values.
        codes: Where the stored axes point.
        placed: Whether a NIfTI header says where the voxels lie.
        axes: Number of axes; those behind the third have length 1.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    values, affine = stored(zyx, codes)
    values = values.reshape(values.shape + (1,) * (axes - 3))
    if path.suffix == ".hdr":
        analyze = nibabel.AnalyzeImage(values.astype(np.int16), None)
        analyze.header.set_zooms((*SPACING[::-1], *(1.0,) * (axes - 3)))
        nibabel.save(analyze, path)
        return
    nifti = nibabel.Nifti1Image(values, affine)
    if not placed:
        nifti.header.set_sform(None, code=0)
        nifti.header.set_qform(None, code=0)
        nifti = nibabel.Nifti1Image(values, None, nifti.header)
    nibabel.save(nifti, path)


def mrbrains13(root: Path) -> None:
    for number in (1, 2):
        folder = root / "TrainingData" / str(number)
        for seed, name in enumerate(("T1", "T1_IR", "T2_FLAIR")):
            write_volume(folder / f"{name}.nii", image(10 * number + seed))
        write_volume(folder / "T1_1mm.nii", image(9, (12, 6, 8)))
        write_volume(folder / "LabelsForTraining.nii", labels((0, 1, 2, 3, 4, 5, 6, 7, 8)))
    for name in ("T1", "T1_IR", "T2_FLAIR"):
        write_volume(root / "TestData" / "1" / f"{name}.nii", image(30))


def mrbrains18(root: Path) -> None:
    for number in ("1", "070"):
        folder = root / "training" / number
        for seed, kind in enumerate(("pre", "orig")):
            for name in ("reg_T1", "reg_IR", "FLAIR"):
                write_volume(folder / kind / f"{name}.nii.gz", image(int(number) + seed))
            write_volume(folder / kind / "T1.nii.gz", image(9, (12, 6, 8)))
        write_volume(folder / "segm.nii.gz", labels(tuple(range(11))))


def hvsmr(root: Path) -> None:
    for number in (0, 1, 2):
        name = f"training_axial_crop_pat{number}"
        write_volume(root / "Training dataset" / f"{name}.nii.gz", image(number))
        write_volume(root / "Ground truth" / f"{name}-label.nii.gz", labels((0, 0, 1, 2, 2)))
    write_volume(root / "Test dataset" / "testing_axial_crop_pat10.nii.gz", image(10))


def iseg(root: Path, year: int) -> None:
    for number in (1, 2, 10):
        folder = root / f"iSeg-{year}-Training"
        write_volume(folder / f"subject-{number}-T1.hdr", image(number), axes=4)
        write_volume(folder / f"subject-{number}-T2.hdr", image(number + 50), axes=4)
        write_volume(folder / f"subject-{number}-label.hdr", labels((0, 10, 150, 250, 250)), axes=4)
    # The archives differ in how they write T1.
    name = "t1" if year == 2019 else "T1"
    write_volume(root / f"iSeg-{year}-Testing" / f"subject-24-{name}.hdr", image(24), axes=4)
    write_volume(
        root / f"iSeg-{year}-Testing" / f"subject-24-{name.replace('1', '2')}.hdr",
        image(25),
        axes=4,
    )


def spleen(root: Path, numbers: tuple[int, ...] = (2, 3, 10)) -> None:
    root = root / "Task09_Spleen"
    for number in numbers:
        name = f"spleen_{number}.nii.gz"
        write_volume(root / "imagesTr" / name, image(number, (3, 8, 8)) - 1000)
        write_volume(root / "labelsTr" / name, labels((0, 0, 1, 1, 1, 0, 0), (3, 8, 8)))
    write_volume(root / "imagesTs" / "spleen_1.nii.gz", image(1, (3, 8, 8)))
    (root / "dataset.json").write_text('{"name": "Spleen", "numTraining": 41}')


ISIC_PARTS = {"Training": (0, 2), "Validation": (1,), "Test_v2": (3,)}


def isic(root: Path) -> None:
    for part, numbers in ISIC_PARTS.items():
        data = root / f"ISIC-2017_{part}_Data"
        truth = root / f"ISIC-2017_{part}_Part1_GroundTruth"
        for folder in (data, truth):
            folder.mkdir(parents=True)
        for number in numbers:
            name = f"ISIC_{number:07}"
            rows, columns = 24, 40
            photograph = np.zeros((rows, columns, 3), dtype=np.uint8)
            photograph[..., 0], photograph[..., 1], photograph[..., 2] = 200, 120, 40 + 10 * number
            Image.fromarray(photograph).save(data / f"{name}.jpg", quality=95)
            Image.fromarray(photograph).save(data / f"{name}_superpixels.png")
            mask = np.zeros((rows, columns), dtype=np.uint8)
            mask[6:18, 5:20] = 255
            Image.fromarray(mask).save(truth / f"{name}_segmentation.png")
        (data / f"ISIC-2017_{part}_Data_metadata.csv").write_text("image_id,age\n")


@dataclass(frozen=True)
class Miniature:
    """A collection of volumes, as the tests that hold for every one of them need it.

    Attributes:
        build: Writes the files below a folder.
        source: The loader of a folder.
        subject: One that has labels.
        image: Its first image.
        labels: Its label map.
        values: Values the label map may hold.
        tree: What the error for a wrong folder must show.
    """

    build: Callable[[Path], None]
    source: Callable[[Path], VolumeSource]
    subject: str
    image: str
    labels: str
    values: tuple[int, ...]
    tree: str


MINIATURES = {
    "mrbrains13": Miniature(
        mrbrains13,
        MRBrainS13,
        "training-1",
        "TrainingData/1/T1.nii",
        "TrainingData/1/LabelsForTraining.nii",
        tuple(range(9)),
        "LabelsForTraining.nii",
    ),
    "mrbrains18": Miniature(
        mrbrains18,
        MRBrainS18,
        "070",
        "training/070/pre/reg_T1.nii.gz",
        "training/070/segm.nii.gz",
        tuple(range(11)),
        "segm.nii.gz",
    ),
    "hvsmr": Miniature(
        hvsmr,
        HVSMR,
        "pat1",
        "Training dataset/training_axial_crop_pat1.nii.gz",
        "Ground truth/training_axial_crop_pat1-label.nii.gz",
        (0, 1, 2),
        "training_axial_crop_pat0-label.nii.gz",
    ),
    "iseg2017": Miniature(
        lambda root: iseg(root, 2017),
        ISeg2017,
        "subject-2",
        "iSeg-2017-Training/subject-2-T1.hdr",
        "iSeg-2017-Training/subject-2-label.hdr",
        (0, 10, 150, 250),
        "subject-1-label.hdr",
    ),
    "iseg2019": Miniature(
        lambda root: iseg(root, 2019),
        ISeg2019,
        "subject-2",
        "iSeg-2019-Training/subject-2-T1.hdr",
        "iSeg-2019-Training/subject-2-label.hdr",
        (0, 10, 150, 250),
        "iSeg-2019-Training",
    ),
    "spleen": Miniature(
        spleen,
        lambda root: MSDSpleen(root, size=4),
        "spleen_3",
        "Task09_Spleen/imagesTr/spleen_3.nii.gz",
        "Task09_Spleen/labelsTr/spleen_3.nii.gz",
        (0, 1),
        "labelsTr/",
    ),
}
