"""Chests as a cardiac MR scan shows them, with what goes wrong there: our stand-in for HVSMR."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from spinforge.datasets.standins.names import as_zyx, centred, numbered
from spinforge.datasets.volumes import LabelledVolume
from spinforge.simulation.config import content_hash
from spinforge.simulation.corruption.corrupt import Corrupted, ImageCorruption, corrupt
from spinforge.simulation.corruption.rescan import B0_FACTOR
from spinforge.simulation.corruption.volume import SamplePath, Volume
from spinforge.simulation.nominal_image import pure_signal
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.heart import (
    BSSFP,
    CHEST_1P5T,
    generate_heart,
    heart_digest,
    heart_image,
    heart_labels,
)
from spinforge.simulation.phantoms.heart_scan import banded_heart_image, chest_field
from spinforge.simulation.phantoms.threads import one_thread
from spinforge.simulation.tissue import Tissue

GENERATOR = "chests-1"
"""Version of the images; whatever changes a voxel changes it, `heart` apart."""

CONTRAST = "MR"


@dataclass(frozen=True)
class Chests:
    """Chests with bSSFP images, named heart-000, heart-001, ...

    Attributes:
        count: Number of subjects.
        named: Further ones, such as heart-017.
        seed: Of anatomy and corruptions.
        spacing_mm: Voxel size [mm].
        corruptions: What happens to the image, one after the other.
        banding: Level of the off-resonance that makes dark bands, 0 for none: the factors of the
            corruption b0.
    """

    count: int
    named: Sequence[str] = ()
    seed: int = 0
    spacing_mm: float = 1.0
    corruptions: Sequence[ImageCorruption] = ()
    banding: int = 0

    def subjects(self) -> list[str]:
        """Every subject there is, sorted."""
        return numbered("heart", self.count, self.named)

    def check(self, subject: str) -> None:
        """Nothing to check: the generator needs no file."""

    def digest(self, subject: str) -> str:
        """Digest of the generators' versions and arguments."""
        return content_hash(
            {
                "generator": GENERATOR,
                "anatomy": heart_digest(subject, seed=self.seed, spacing_mm=self.spacing_mm),
                "corruptions": [one.model_dump(mode="json") for one in self.corruptions],
                "banding": self.banding,
            }
        )

    def load(self, subject: str) -> LabelledVolume:
        """Make the image; labels are 1 myocardium and 2 blood pool."""
        phantom = generate_heart(subject, seed=self.seed, spacing_mm=self.spacing_mm)
        labels = heart_labels(phantom)
        blood = pure_signal(Tissue.BLOOD, BSSFP, CHEST_1P5T)
        with one_thread():
            clean, field = self._scan(phantom, labels)
            body = phantom.membership(Tissue.BACKGROUND) < 0.5
            corrupted = self._corrupted(subject, clean, body, blood)
        spacing = self.spacing_mm
        return LabelledVolume(
            subject=subject,
            contrasts={CONTRAST: corrupted.image.numpy()},
            labels=as_zyx(labels),
            spacing_mm=(spacing, spacing, spacing),
            affine=centred([spacing] * 3, labels.shape),
            parameters={
                "source": phantom.source,
                "anatomy": phantom.parameters,
                "sequences": {CONTRAST: BSSFP.model_dump(mode="json")},
                "banding": {"level": self.banding, **field},
                "corruptions": corrupted.history,
                "reference_signal": {CONTRAST: blood},
                "orientation_verified": True,
            },
        )

    def _scan(self, phantom: Phantom, labels: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        """Image without noise, and the range of the field over the heart."""
        if not self.banding:
            return heart_image(phantom), {}
        factor = B0_FACTOR[self.banding - 1]
        field = chest_field(phantom, labels) * factor
        inside = field[labels > 0]
        drawn = {"factor": factor, "field_hz": [float(inside.min()), float(inside.max())]}
        return banded_heart_image(phantom, field), drawn

    def _corrupted(
        self, subject: str, clean: torch.Tensor, body: torch.Tensor, blood: float
    ) -> Corrupted:
        """The chain of corruptions; a bias field has its range over the body."""
        region = torch.from_numpy(as_zyx(body))
        volume = Volume(
            image=torch.from_numpy(as_zyx(clean)),
            reference_signal=blood,
            brain=region,
            head=region,
            voxel_mm=(self.spacing_mm, self.spacing_mm, self.spacing_mm),
        )
        path = SamplePath(self.seed, ("hvsmr_like", subject, CONTRAST))
        return corrupt(volume, self.corruptions, path)
