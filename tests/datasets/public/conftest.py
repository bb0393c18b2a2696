"""A miniature of each collection, fresh for every test."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from public_miniatures import MINIATURES, Miniature

from spinforge.datasets.volumes import VolumeSource


@dataclass(frozen=True)
class Built:
    """A miniature on disk."""

    miniature: Miniature
    root: Path

    @property
    def source(self) -> VolumeSource:
        return self.miniature.source(self.root)

    @property
    def subject(self) -> str:
        return self.miniature.subject

    @property
    def image(self) -> Path:
        return self.root / self.miniature.image

    @property
    def labels(self) -> Path:
        return self.root / self.miniature.labels

    def voxels_of(self, path: Path) -> Path:
        """The file that holds the voxels is another one for Analyze."""
        return path.with_suffix(".img") if path.suffix == ".hdr" else path


@pytest.fixture(params=MINIATURES.values(), ids=MINIATURES)
def built(request, tmp_path) -> Built:
    root = tmp_path / "collection"
    request.param.build(root)
    return Built(request.param, root)
