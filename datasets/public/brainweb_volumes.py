"""BrainWeb's own images of subject 0 with their labels, as a collection of one volume.

Cite Cocosco et al., NeuroImage 5(4):S425 (1997), and Kwan, Evans, Pike, IEEE TMI 18(11):1085
(1999).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spinforge.datasets.brainweb.files import files_digest, find_volume
from spinforge.datasets.brainweb.images import (
    MODALITIES,
    ImageSettings,
    InuPercent,
    Modality,
    NoisePercent,
    check_image,
    image_shapes,
    load_image,
)
from spinforge.datasets.brainweb.subject0 import MAT_NAMES, Glial, canonical_tissues, read_crisp
from spinforge.datasets.public.layout import unknown_subject, wrong_layout
from spinforge.datasets.volumes import Collection, LabelledVolume
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue import TARGET_NAMES

SUBJECT = "normal"

FIRST_VOXEL_MM = (-90.0, -126.0, -72.0)
"""World coordinates of the centre of voxel (0, 0, 0); the sign of x has not been verified."""

_CRISP = "phantom_1.0mm_normal_crisp"
_TREE = """
t1_icbm_normal_1mm_pn{noise}_rf{inu}.mnc.gz  (or .rawb.gz, .raws.gz)
t2_icbm_normal_1mm_pn{noise}_rf{inu}.mnc.gz
pd_icbm_normal_1mm_pn{noise}_rf{inu}.mnc.gz
phantom_1.0mm_normal_crisp.mnc.gz
"""


@dataclass(frozen=True)
class BrainWebImages:
    """T1, T2 and PD of the normal head at 1 mm: one subject, "normal".

    Attributes:
        folder: Holds the three images and the crisp model.
        noise_percent: Noise level of the images.
        inu_percent: Range of their bias field.
        glial: What glial matter, which BrainWeb gives the parameters of grey matter, counts as.
    """

    collection: ClassVar = Collection(
        "BrainWeb",
        "Cocosco et al., NeuroImage 5(4):S425 (1997); Kwan, Evans, Pike, IEEE TMI 18(11):1085 "
        "(1999). BrainWeb publishes no licence: do not redistribute the voxels.",
        simulated=True,
    )

    folder: Path
    noise_percent: NoisePercent = 0
    inu_percent: InuPercent = 0
    glial: Glial = "gm"

    def subjects(self) -> list[str]:
        """The one subject.

        Raises:
            SpinforgeError: If the folder holds none of its files.
        """
        stems = [self._settings(modality).stem for modality in MODALITIES]
        if not self.folder.is_dir() or find_volume(self.folder, *stems) is None:
            tree = _TREE.format(noise=self.noise_percent, inu=self.inu_percent)
            raise wrong_layout(self.folder, "BrainWeb's images of subject 0", tree)
        return [SUBJECT]

    def check(self, subject: str) -> None:
        """Read the images to their ends.

        Raises:
            SpinforgeError: If a file is missing, damaged or on another grid.
        """
        *images, _ = self._paths(subject)
        for modality, path in zip(MODALITIES, images, strict=True):
            check_image(path, self._settings(modality))

    def digest(self, subject: str) -> str:
        """SHA-256 of the four files and of what glial matter counts as."""
        return content_hash({"files": files_digest(self._paths(subject)), "glial": self.glial})

    def load(self, subject: str) -> LabelledVolume:
        """Read the images; labels are those of CSF, GM and WM, the rest of the head is 0.

        Raises:
            SpinforgeError: If a file is missing, damaged or on another grid.
        """
        crisp = self._paths(subject)[-1]
        loaded = {m: load_image(self.folder, self._settings(m)) for m in MODALITIES}
        contrasts = {
            modality.upper(): np.ascontiguousarray(image.values.numpy().transpose(2, 1, 0))
            for modality, image in loaded.items()
        }
        labels = self._labels(crisp)
        affine = np.eye(4)
        affine[:3, 3] = FIRST_VOXEL_MM
        return LabelledVolume(
            subject=subject,
            contrasts=contrasts,
            labels=labels,
            spacing_mm=(1.0, 1.0, 1.0),
            affine=affine,
            parameters={
                "noise_percent": self.noise_percent,
                "inu_percent": self.inu_percent,
                "glial": self.glial,
                "orientation_verified": False,
                "collection": asdict(self.collection),
            },
        )

    def _labels(self, path: Path) -> NDArray[np.uint8]:
        labels = read_crisp(path, "normal").transpose(2, 1, 0)
        shapes = image_shapes(self._settings("t1"))
        if labels.shape not in shapes:
            raise SpinforgeError(
                f"{path} has shape {labels.shape} and the images have shape {shapes[0]} (z, y, x): "
                f"the model is cropped. Get the whole one with: spinforge download brainweb0 --to "
                f"{self.folder}"
            )
        tissues = canonical_tissues(self.glial)
        target = [tissue if tissue < len(TARGET_NAMES) else 0 for tissue in tissues]
        return np.ascontiguousarray(np.array(target, dtype=np.uint8)[labels])

    def _settings(self, modality: Modality) -> ImageSettings:
        return ImageSettings(
            modality=modality, noise_percent=self.noise_percent, inu_percent=self.inu_percent
        )

    def _paths(self, subject: str) -> list[Path]:
        """Files of T1, T2, PD and the crisp model."""
        if subject not in self.subjects():
            raise unknown_subject(subject, [SUBJECT])
        paths = []
        for modality in MODALITIES:
            settings = self._settings(modality)
            path = find_volume(self.folder, settings.stem)
            if path is None:
                raise SpinforgeError(
                    f"{self.folder / f'{settings.stem}.mnc.gz'} is missing. Get it with: spinforge "
                    f"download images --modality {modality} --model normal --thickness 1 --noise "
                    f"{self.noise_percent} --inu {self.inu_percent} --to {self.folder}"
                )
            paths.append(path)
        mat = (self.folder / name for name in MAT_NAMES)
        crisp = find_volume(self.folder, _CRISP) or next((p for p in mat if p.is_file()), None)
        if crisp is None:
            raise SpinforgeError(
                f"{self.folder / f'{_CRISP}.mnc.gz'} is missing. Get it with: spinforge download "
                f"brainweb0 --to {self.folder}"
            )
        return [*paths, crisp]
