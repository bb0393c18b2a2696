"""CT of upper abdomens: our stand-in for the Decathlon's spleen."""

from collections.abc import Sequence
from dataclasses import dataclass

from spinforge.datasets.standins.names import as_zyx, centred, numbered
from spinforge.datasets.volumes import LabelledVolume
from spinforge.simulation.phantoms.abdomen import (
    FIELD_OF_VIEW_MM,
    abdomen_digest,
    generate_abdomen,
)


@dataclass(frozen=True)
class Abdomens:
    """Portal venous CT in Hounsfield units, named abdomen-000, abdomen-001, ...

    Attributes:
        count: Number of subjects.
        named: Further ones, such as abdomen-017.
        seed: Of anatomy and noise.
        size: Rows and columns of the slices.
    """

    count: int
    named: Sequence[str] = ()
    seed: int = 0
    size: int = 256

    @property
    def pixel_mm(self) -> float:
        """Edge length of a pixel [mm]."""
        return FIELD_OF_VIEW_MM[0] / self.size

    def subjects(self) -> list[str]:
        """Every subject there is, sorted."""
        return numbered("abdomen", self.count, self.named)

    def check(self, subject: str) -> None:
        """Nothing to check: the generator needs no file."""

    def digest(self, subject: str) -> str:
        """Digest of the generator's version and arguments."""
        return abdomen_digest(subject, seed=self.seed, pixel_mm=self.pixel_mm)

    def load(self, subject: str) -> LabelledVolume:
        """Make the scan; label 1 is the spleen."""
        scan = generate_abdomen(subject, seed=self.seed, pixel_mm=self.pixel_mm)
        x, y, z = scan.spacing_mm
        return LabelledVolume(
            subject=subject,
            contrasts={"CT": as_zyx(scan.image)},
            labels=as_zyx(scan.mask),
            spacing_mm=(z, y, x),
            affine=centred(scan.spacing_mm, scan.image.shape),
            parameters={
                "source": "procedural abdomen",
                "anatomy": scan.parameters,
                "orientation_verified": True,
            },
        )
