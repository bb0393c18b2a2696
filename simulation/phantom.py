"""A phantom: what the head is made of, before any scanner sees it."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from spinforge.simulation.arrays import LabelVolume, Memberships
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue


@dataclass(frozen=True)
class Phantom:
    """Fuzzy anatomy of one subject.

    Attributes:
        subject: Name of the subject, unique within a data set.
        memberships: Fraction of each tissue in each voxel, float32, sums to 1; where all are 0
            or 1, half precision holds them as well.
        spacing_mm: Edge length of the cubic voxels [mm].
        source: Where it comes from, such as "procedural" or "brainweb20".
        digest: SHA-256 of the source's raw bytes or of the generator and its parameters.
        parameters: What was drawn to make it; empty for a recorded anatomy.
        tissues: What the entries of the membership axis are.
    """

    subject: str
    memberships: Memberships
    spacing_mm: float
    source: str
    digest: str
    parameters: dict[str, Any] = field(default_factory=dict)
    tissues: tuple[Tissue, ...] = HEAD_TISSUES

    @property
    def labels(self) -> LabelVolume:
        """Code of the most abundant tissue of each voxel, (x, y, z) uint8."""
        codes = torch.tensor(self.tissues, dtype=torch.uint8)
        return codes[self.memberships.argmax(0)]

    def membership(self, tissue: Tissue) -> Tensor:
        """Fraction of one tissue, (x, y, z); zeros if the phantom does not have it."""
        if tissue not in self.tissues:
            return torch.zeros_like(self.memberships[0])
        return self.memberships[self.tissues.index(tissue)]


def coarsened(phantom: Phantom, factor: int) -> Phantom:
    """The same anatomy in voxels `factor` times as large: means of cubes of voxels.

    What is left over at the far ends is dropped. Its digest stays that of the finer one.
    """
    if factor == 1:
        return phantom
    nx, ny, nz = (count // factor for count in phantom.memberships.shape[1:])
    cubes = (nx, factor, ny, factor, nz, factor)
    whole = phantom.memberships[:, : nx * factor, : ny * factor, : nz * factor]
    # A tissue at a time: the finer volume is large.
    means = [tissue.float().reshape(cubes).mean((1, 3, 5)) for tissue in whole]
    return replace(phantom, memberships=torch.stack(means), spacing_mm=phantom.spacing_mm * factor)


def target_labels(tissue_labels: Tensor) -> Tensor:
    """Map tissue codes to segmentation targets: CSF, GM and WM keep theirs, the rest is 0."""
    return torch.where(tissue_labels <= Tissue.WHITE_MATTER, tissue_labels, 0)
