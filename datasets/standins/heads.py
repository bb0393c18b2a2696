"""T1, T2 and PD of any head as BrainWeb's simulator forms them; the whole head, with its labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from spinforge.datasets.phantoms import PhantomSource
from spinforge.datasets.standins.names import as_zyx, placed
from spinforge.datasets.volumes import LabelledVolume
from spinforge.simulation.config import content_hash
from spinforge.simulation.nominal_image import (
    BRAINWEB_PROTOCOL,
    BRAINWEB_REFERENCES,
    nominal_image,
    pure_signal,
)
from spinforge.simulation.phantom import target_labels
from spinforge.simulation.phantoms.head import CORNER_MM
from spinforge.simulation.phantoms.threads import one_thread
from spinforge.simulation.tissue_sets import TISSUE_SETS

GENERATOR = "brainweb-contrasts-1"
"""Version of the images; whatever changes a voxel changes it."""

PROPERTIES = TISSUE_SETS["brainweb_1p5T"].properties
"""Relaxation of every tissue, as BrainWeb has it."""


@dataclass(frozen=True)
class SimulatedBrainWeb:
    """Noise-free images with flat fields: noise and bias belong to the sets of corrupted images.

    Attributes:
        phantoms: The heads, on BrainWeb's grid.
        names: Those that count; all of them by default.
    """

    phantoms: PhantomSource
    names: Sequence[str] | None = None

    def subjects(self) -> list[str]:
        """Every head there is, sorted.

        Raises:
            SpinforgeError: If the phantoms' files are not where they should be.
        """
        available = self.phantoms.subjects()
        for name in sorted(set(self.names or ()) - set(available)):
            self.phantoms.check(name)  # says what is missing
        return [name for name in available if self.names is None or name in self.names]

    def check(self, subject: str) -> None:
        """Check the phantom's files, if it has any."""
        self.phantoms.check(subject)

    def digest(self, subject: str) -> str:
        """Digest of the phantom and of the images' version."""
        return content_hash({"generator": GENERATOR, "phantom": self.phantoms.digest(subject)})

    def load(self, subject: str) -> LabelledVolume:
        """Simulate the images; labels are CSF, GM and WM where they are the most abundant tissue.

        Intensities are in units of the proton density.
        """
        phantom = self.phantoms.load(subject)
        with one_thread():
            images = {
                contrast: as_zyx(nominal_image(phantom, sequence, PROPERTIES))
                for contrast, sequence in BRAINWEB_PROTOCOL.items()
            }
        spacing = phantom.spacing_mm
        return LabelledVolume(
            subject=subject,
            contrasts=images,
            labels=as_zyx(target_labels(phantom.labels)),
            spacing_mm=(spacing, spacing, spacing),
            affine=placed([spacing] * 3, [corner + spacing / 2 for corner in CORNER_MM]),
            parameters={
                "source": phantom.source,
                "anatomy": phantom.parameters,
                "tissue_set": "brainweb_1p5T",
                "sequences": {c: s.model_dump(mode="json") for c, s in BRAINWEB_PROTOCOL.items()},
                "reference_signal": {
                    contrast: pure_signal(tissue, BRAINWEB_PROTOCOL[contrast], PROPERTIES)
                    for contrast, tissue in BRAINWEB_REFERENCES.items()
                },
                # BrainWeb does not say which side of its subjects is left.
                "orientation_verified": phantom.source == "procedural",
            },
        )
