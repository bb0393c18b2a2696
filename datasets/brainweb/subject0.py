"""BrainWeb's first anatomical model ("subject 0") at 1 mm, healthy and with MS lesions.

Cite Collins et al., IEEE TMI 17(3):463 (1998) and Cocosco et al., NeuroImage 5(4):S425 (1997);
BrainWeb publishes no licence, so do not redistribute the voxels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from spinforge.datasets.brainweb.files import files_digest, find_volume, open_volume
from spinforge.datasets.brainweb.labels import (
    checked_labels,
    read_fraction,
    read_labels,
    summed_fractions,
)
from spinforge.datasets.brainweb.mat import read_mat_array
from spinforge.simulation.arrays import Memberships
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.tissue import Tissue

Model = Literal["normal", "msles1", "msles2", "msles3"]
MODELS: tuple[Model, ...] = ("normal", "msles1", "msles2", "msles3")
"""No lesions; mild, moderate and severe ones. The same head four times: never split by them."""

Glial = Literal["gm", "background"]

SHAPE_ZYX = (181, 217, 181)
_CROPPED_SHAPE_ZYX = (180, 216, 180)

# JEMRIS, an MRI simulator, ships the normal model as MNIbrain.mat.
MAT_NAMES = ("normal_crisp_1mm_jemris.mat", "MNIbrain.mat")
_MAT_VARIABLE = "BRAIN"
# As doubles, with room for the other variables of the file.
_LARGEST_MAT = 8 * 181 * 217 * 181 + 2**20

FUZZY_SUFFIXES = (
    ("bck",),
    ("csf",),
    ("gry",),
    ("wht",),
    ("fat",),
    ("m+s", "m-s"),  # muscle and skin: public downloaders disagree on its name
    ("skn",),
    ("skl",),
    ("gli",),
    ("mit",),
    ("wml",),  # white matter lesions, MS models only
)
"""What BrainWeb calls the fuzzy volume of each label: phantom_1.0mm_normal_csf, ..."""


@dataclass(frozen=True)
class ModelFiles:
    """The files one model is read from.

    Attributes:
        kind: One label a voxel, or a fraction of each.
        paths: The label volume, or one volume for each label.
    """

    kind: Literal["crisp", "fuzzy"]
    paths: list[Path]


def labels_of(model: Model) -> range:
    """Labels of a model: 0 to 9, and 10 for MS lesions."""
    return range(10 if model == "normal" else 11)


def tissues_of(model: Model) -> tuple[Tissue, ...]:
    """Tissues of a model's phantom: subject 0's own, not those of the twenty."""
    normal = tuple(dict.fromkeys(canonical_tissues("background")[:10]))
    return normal if model == "normal" else (*normal, Tissue.LESION)


def canonical_tissues(glial: Glial) -> tuple[Tissue, ...]:
    """Tissue of each of subject 0's labels, which are not those of the twenty.

    Args:
        glial: What glial matter, which BrainWeb gives the parameters of grey matter, counts as.
    """
    return (
        Tissue.BACKGROUND,
        Tissue.CSF,
        Tissue.GREY_MATTER,
        Tissue.WHITE_MATTER,
        Tissue.FAT,
        Tissue.MUSCLE_SKIN,
        Tissue.SKIN,
        Tissue.SKULL,
        Tissue.GREY_MATTER if glial == "gm" else Tissue.BACKGROUND,
        Tissue.CONNECTIVE,
        Tissue.LESION,
    )


def models_in(folder: Path) -> list[Model]:
    """Models of which at least one file lies in `folder`."""
    return [m for m in MODELS if _crisp_path(folder, m) or any(_fuzzy_paths(folder, m))]


def model_files(folder: Path, model: Model) -> ModelFiles:
    """Files of a model: all fuzzy volumes if they are there, else the crisp one.

    Raises:
        SpinforgeError: If the folder or the model is missing, or only some fuzzy volumes are there.
    """
    name = "brainweb0" if model == "normal" else model
    if not folder.is_dir():
        raise SpinforgeError(
            f"data.path: {folder} is not a folder. It must hold BrainWeb's model "
            f"(phantom_1.0mm_{model}_crisp.mnc.gz). Get it with: "
            f"spinforge download {name} --to {folder}"
        )
    fuzzy = _fuzzy_paths(folder, model)
    paths = [path for path in fuzzy if path is not None]
    if len(paths) == len(fuzzy):
        return ModelFiles("fuzzy", paths)
    if paths:
        absent = [FUZZY_SUFFIXES[i][0] for i, path in enumerate(fuzzy) if path is None]
        raise SpinforgeError(
            f"{folder} holds only {len(paths)} of the {len(fuzzy)} fuzzy volumes "
            f"phantom_1.0mm_{model}_*; missing: {', '.join(absent)}. Get them with: "
            f"spinforge download {name} --fuzzy --to {folder}, or take the others away to use the "
            f"crisp model."
        )
    crisp = _crisp_path(folder, model)
    if crisp is None:
        raise SpinforgeError(
            f"{folder / f'phantom_1.0mm_{model}_crisp.mnc.gz'} is missing. Get it with: "
            f"spinforge download {name} --to {folder}"
        )
    return ModelFiles("crisp", [crisp])


def check_model(files: ModelFiles, model: Model) -> None:
    """Read the files to their ends, so that damage is found before any work.

    Raises:
        SpinforgeError: If one is damaged or on another grid.
    """
    for path in files.paths:
        if path.suffix == ".mat":
            read_crisp(path, model)
        else:
            open_volume(path, [SHAPE_ZYX, _CROPPED_SHAPE_ZYX])


def read_crisp(path: Path, model: Model) -> NDArray[np.uint8]:
    """Decode a model's label volume.

    Returns:
        (x, y, z) uint8 labels of subject 0, 181 x 217 x 181 or cropped by one plane an axis.

    Raises:
        SpinforgeError: If it is no crisp model on these grids.
    """
    shapes = [SHAPE_ZYX, _CROPPED_SHAPE_ZYX]
    highest = labels_of(model)[-1]
    if path.suffix != ".mat":
        return read_labels(path, shapes, highest=highest)
    array = read_mat_array(path, _MAT_VARIABLE, largest=_LARGEST_MAT)
    if array.shape[::-1] not in shapes:
        raise SpinforgeError(
            f"{path}: {_MAT_VARIABLE} has shape {array.shape}, expected (x, y, z) = "
            f"{' or '.join(str(shape[::-1]) for shape in shapes)}."
        )
    return np.ascontiguousarray(checked_labels(path, array, highest=highest))


def one_hot(labels: NDArray[np.uint8], model: Model, glial: Glial) -> Memberships:
    """Memberships 0 and 1 from subject 0's labels.

    Args:
        labels: (x, y, z) labels 0-9, or 0-10 with lesions.
        model: Decides the tissues.
        glial: What glial matter counts as.
    """
    tissues = tissues_of(model)
    place = np.array([tissues.index(canonical_tissues(glial)[label]) for label in labels_of(model)])
    index = torch.from_numpy(place[labels])[None]
    memberships = torch.zeros(len(tissues), *labels.shape)
    return memberships.scatter_(0, index, 1.0)


def fuzzy_memberships(
    paths: list[Path], model: Model, glial: Glial
) -> tuple[Memberships, dict[str, float]]:
    """Memberships from a model's fuzzy volumes, scaled to sum to one in every voxel.

    Args:
        paths: One volume for each label.
        model: Decides the tissues.
        glial: What glial matter counts as.

    Returns:
        As `summed_fractions`.

    Raises:
        SpinforgeError: If a file is no fuzzy volume.
    """
    tissues = tissues_of(model)
    labelled = zip(paths, canonical_tissues(glial), strict=False)
    return summed_fractions(
        ((tissues.index(t), read_fraction(path, [SHAPE_ZYX])) for path, t in labelled), len(tissues)
    )


def load_model(folder: Path, model: Model, *, glial: Glial = "gm") -> Phantom:
    """Subject 0 as a 1 mm phantom.

    Args:
        folder: Where its files are.
        model: Healthy, or with lesions.
        glial: What glial matter counts as.

    Returns:
        A phantom of 181 x 217 x 181 voxels, or 180 x 216 x 180 from a cropped file; the digest is
        `model_digest`.

    Raises:
        SpinforgeError: If a file is missing, damaged or another volume.
    """
    files = model_files(folder, model)
    parameters: dict[str, float | str] = {"model": files.kind, "glial": glial}
    if files.kind == "crisp":
        memberships = one_hot(read_crisp(files.paths[0], model), model, glial)
    else:
        memberships, sums = fuzzy_memberships(files.paths, model, glial)
        parameters |= sums
    return Phantom(
        subject=model,
        memberships=memberships,
        spacing_mm=1.0,
        source="brainweb0",
        digest=model_digest(files, glial),
        parameters=parameters,
        tissues=tissues_of(model),
    )


def model_digest(files: ModelFiles, glial: Glial) -> str:
    """Digest of a model: of the bytes of its files and of how they are read."""
    return content_hash({"files": files_digest(files.paths), "glial": glial})


def _fuzzy_paths(folder: Path, model: Model) -> list[Path | None]:
    """Path of each label's fuzzy volume."""
    return [
        find_volume(folder, *(f"phantom_1.0mm_{model}_{suffix}" for suffix in names))
        for names in FUZZY_SUFFIXES[: len(labels_of(model))]
    ]


def _crisp_path(folder: Path, model: Model) -> Path | None:
    path = find_volume(folder, f"phantom_1.0mm_{model}_crisp")
    if path is None and model == "normal":
        path = next((folder / name for name in MAT_NAMES if (folder / name).is_file()), None)
    return path
