"""Elderly heads as MRBrainS scans them: our stand-in for MRBrainS13."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spinforge.datasets.standins.names import as_zyx, numbered, placed
from spinforge.datasets.volumes import IGNORE, LabelledVolume
from spinforge.simulation.config import content_hash
from spinforge.simulation.nominal_image import pure_signal
from spinforge.simulation.phantoms.ageing import (
    BOTTOM_MM,
    FINE_SPACING_MM,
    ageing_digest,
    generate_ageing_head,
)
from spinforge.simulation.phantoms.ageing_slices import (
    MATRIX,
    PROTOCOL,
    SLICE_MM,
    ageing_images,
    ageing_labels,
    ageing_slices,
    merge_labels,
)
from spinforge.simulation.phantoms.threads import one_thread
from spinforge.simulation.sequences import PulseSequence
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

GENERATOR = "elderly-1"
"""Version of what is made of the heads; whatever changes a voxel changes it."""

CONTRASTS = ("T1", "T1-IR", "FLAIR")

REFERENCES = {"T1": Tissue.WHITE_MATTER, "T1-IR": Tissue.WHITE_MATTER, "FLAIR": Tissue.GREY_MATTER}
"""Tissue whose signal is 100 % noise: white matter in T1 weighting, as BrainWeb has it; grey matter
in FLAIR, which nulls CSF (our choice)."""

_CEREBELLUM, _BRAINSTEM = 7, 8


@dataclass(frozen=True)
class ElderlyHeads:
    """Heads with atrophy and white-matter lesions, named ageing-000, ageing-001, ...

    Attributes:
        count: Number of subjects.
        named: Further ones, such as ageing-017.
        seed: Of anatomy and lesions.
        spacing_mm: Voxels of the anatomy before it is averaged to slices of 3 mm [mm]; those of
            the image have the same size in the plane.
    """

    count: int
    named: Sequence[str] = ()
    seed: int = 0
    spacing_mm: float = FINE_SPACING_MM

    def subjects(self) -> list[str]:
        """Every subject there is, sorted."""
        return numbered("ageing", self.count, self.named)

    def check(self, subject: str) -> None:
        """Nothing to check: the generator needs no file."""

    def digest(self, subject: str) -> str:
        """Digest of the generators' versions and arguments."""
        anatomy = ageing_digest(subject, seed=self.seed, spacing_mm=self.spacing_mm)
        return content_hash({"generator": GENERATOR, "anatomy": anatomy})

    def load(self, subject: str) -> LabelledVolume:
        """Make the images; CSF, GM and WM, with cerebellum and brainstem as `IGNORE`.

        MRBrainS13 does not score those two, which hold several tissues each. Images are free of
        noise, in units of the proton density.
        """
        head = generate_ageing_head(subject, seed=self.seed, spacing_mm=self.spacing_mm)
        slices = ageing_slices(head)
        separate = ageing_labels(head, slices)
        with one_thread():
            images = ageing_images(slices, head.phantom.tissues)
        labels = as_zyx(merge_labels(separate))
        labels[np.isin(as_zyx(separate), (_CEREBELLUM, _BRAINSTEM))] = IGNORE
        properties = TISSUE_SETS["literature_3T"].properties
        # The matrix is as wide as 240 of the head's own voxels, around its middle.
        edge = -MATRIX / 2 * self.spacing_mm + self.spacing_mm / 2
        sequences: dict[str, PulseSequence] = dict(zip(CONTRASTS, PROTOCOL, strict=True))
        return LabelledVolume(
            subject=subject,
            contrasts={c: as_zyx(image) for c, image in zip(CONTRASTS, images, strict=True)},
            labels=labels,
            spacing_mm=(SLICE_MM, self.spacing_mm, self.spacing_mm),
            affine=placed(
                (self.spacing_mm, self.spacing_mm, SLICE_MM),
                (edge, edge, BOTTOM_MM + SLICE_MM / 2),
            ),
            parameters={
                "source": head.phantom.source,
                "anatomy": head.phantom.parameters,
                "tissue_set": "literature_3T",
                "sequences": {c: s.model_dump(mode="json") for c, s in sequences.items()},
                "reference_signal": {
                    contrast: pure_signal(tissue, sequences[contrast], properties)
                    for contrast, tissue in REFERENCES.items()
                },
                "orientation_verified": True,
            },
        )
