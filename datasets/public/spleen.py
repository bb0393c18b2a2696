"""Task09_Spleen of the Medical Segmentation Decathlon: portal venous CT with the spleen outlined.

Cite Simpson et al., arXiv:1902.09063 (2019); CC-BY-SA 4.0, medicaldecathlon.com.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spinforge.datasets.public.decathlon import CITE, DecathlonTask
from spinforge.datasets.public.subject_files import SubjectFiles
from spinforge.datasets.splits import Split, Subjects, split_subjects
from spinforge.datasets.volumes import Collection, LabelledVolume
from spinforge.simulation.errors import SpinforgeError

PAPER_SPLIT = Subjects(train=25, validation=4, test=12)
"""HLE-Net's numbers of patients (Wang et al., MLMI 2019). It does not say which: we take them in
order of their names."""

PAPER_SLICES = {"train": 882, "validation": 135, "test": 380}
"""Slices HLE-Net kept after it left out some without spleen."""

_TREE = """
Task09_Spleen/
  dataset.json  (not needed)
  imagesTr/
    spleen_2.nii.gz  spleen_3.nii.gz ...  (41)
  labelsTr/
    spleen_2.nii.gz  spleen_3.nii.gz ...  (41)
  imagesTs/  (not needed for training)
    spleen_1.nii.gz  spleen_7.nii.gz ...  (20)
"""


@dataclass(frozen=True)
class MSDSpleen(DecathlonTask):
    """41 training volumes with labels, 20 test volumes without.

    Attributes:
        folder: Task09_Spleen, or the folder above it.
        part: Which subjects there are.
        size: Rows and columns of the slices that are delivered; None leaves them at 512. The
            image becomes the mean of each block of pixels. A block is spleen if at least half of
            its pixels are: the tie goes to the spleen, because its edge is what is searched for.
    """

    collection: ClassVar = Collection("Medical Segmentation Decathlon, Task09 Spleen", CITE)
    task: ClassVar = "Task09_Spleen"
    contrast: ClassVar = "CT"
    codes: ClassVar = {0: 0, 1: 1}
    tree: ClassVar = _TREE

    size: int | None = 256

    def paper_split(self) -> Split:
        """25, 4 and 12 patients, by name.

        Raises:
            SpinforgeError: If not all 41 training subjects are there.
        """
        names = replace(self, part="training").subjects()
        if len(names) != PAPER_SPLIT.total:
            raise SpinforgeError(
                f"{self.folder} holds {len(names)} of the {PAPER_SPLIT.total} training subjects: "
                f"the paper's split needs all. Unpack the archive again, or name the subjects."
            )
        return split_subjects(PAPER_SPLIT, names)

    def _reading(self) -> dict[str, Any]:
        return {"size": self.size}

    def _finished(self, volume: LabelledVolume, files: SubjectFiles) -> LabelledVolume:
        if self.size is None:
            return volume
        rows, columns = volume.contrasts["CT"].shape[1:]
        factor = rows // self.size
        if rows != columns or factor * self.size != rows or factor < 1:
            raise SpinforgeError(
                f"{files.contrasts['CT']} has slices of {rows} x {columns} pixels, which do not "
                f"shrink to {self.size} x {self.size} by a whole number. Choose another size, or "
                f"none."
            )
        return _shrunk(volume, factor)


def _shrunk(volume: LabelledVolume, factor: int) -> LabelledVolume:
    """Blocks of factor x factor pixels of each slice become one."""
    # The first new voxel lies at the centre of the first block.
    offset = (factor - 1) / 2
    affine = volume.affine @ np.array(
        [[factor, 0, 0, offset], [0, factor, 0, offset], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=float
    )
    labels = volume.labels
    if labels is not None:
        spleen = _blocks(labels, factor).sum((2, 4), dtype=np.int64)
        labels = (2 * spleen >= factor**2).astype(np.uint8)
    z, y, x = volume.spacing_mm
    return replace(
        volume,
        contrasts={
            name: _blocks(image, factor).mean((2, 4), dtype=np.float32)
            for name, image in volume.contrasts.items()
        },
        labels=labels,
        spacing_mm=(z, y * factor, x * factor),
        affine=affine,
    )


def _blocks(values: NDArray[Any], factor: int) -> NDArray[Any]:
    """(z, y, row in block, x, column in block)."""
    z, y, x = values.shape
    return values.reshape(z, y // factor, factor, x // factor, factor)
