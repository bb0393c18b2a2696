"""BrainWeb's own simulated images of subject 0, to compare ours with.

Cite Kwan, Evans, Pike, IEEE TMI 18(11):1085 (1999).
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from spinforge.datasets.brainweb.files import Shape, find_volume, open_volume, read_volume
from spinforge.datasets.brainweb.subject0 import SHAPE_ZYX
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError

Modality = Literal["t1", "t2", "pd"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
ThicknessMm = Literal[1, 3, 5, 7, 9]
NoisePercent = Literal[0, 1, 3, 5, 7, 9]
InuPercent = Literal[0, 20, 40]


class ImageSettings(Config):
    """Which of BrainWeb's pre-computed images; the defaults are those of its form."""

    modality: Modality = Field("t1", description="contrast")
    model: Literal["normal", "msles2"] = Field("normal", description="healthy, or moderate MS")
    thickness_mm: ThicknessMm = Field(1, description="slice thickness [mm]")
    noise_percent: NoisePercent = Field(3, description="of the reference tissue")
    inu_percent: InuPercent = Field(20, description="range of the bias field")

    @property
    def stem(self) -> str:
        """Name of its file without suffix, such as t1_icbm_normal_1mm_pn3_rf20."""
        # The server titles MS images "AI", though they are made with the ICBM templates.
        template = "icbm" if self.model == "normal" else "ai"
        return "_".join((self.modality, template, self.model, *self._levels))

    @property
    def alias(self) -> str:
        """What the download form calls it, such as "T1 ICBM normal 1mm pn3 rf20"."""
        template = "ICBM" if self.model == "normal" else "AI"
        return " ".join((self.modality.upper(), template, self.model, *self._levels))

    @property
    def _levels(self) -> tuple[str, str, str]:
        return (
            f"{self.thickness_mm}mm",
            f"pn{self.noise_percent}",
            f"rf{self.inu_percent}",
        )


@dataclass(frozen=True)
class SimulatedImage:
    """One of BrainWeb's images.

    Attributes:
        values: Magnitude, float32, in the file's units: 0 to 255 (.rawb), 0 to 4095 (.raws),
            BrainWeb's own (MINC). Air is not 0.
        spacing_mm: Edge lengths of the voxels along x, y and z [mm].
        settings: What it shows.
    """

    values: Float[Tensor, "x y z"]
    spacing_mm: tuple[float, float, float]
    settings: ImageSettings

    def plane_at(self, height_mm: float) -> Float[Tensor, "x y"]:
        """The plane whose centre is nearest to a height.

        Args:
            height_mm: Above the centre of the lowest 1 mm plane, which is that of the lowest plane
                of an image of any thickness.
        """
        plane = round(height_mm / self.spacing_mm[2])
        return self.values[..., min(max(plane, 0), self.values.shape[-1] - 1)]


def cleanest_image(
    folder: Path, modality: Modality, model: str, thickness_mm: float
) -> ImageSettings | None:
    """Of the images of a model in a folder, that with the least noise, then bias field.

    Args:
        folder: Where to look.
        modality: Contrast.
        model: Of subject 0; BrainWeb has images of normal and msles2 alone.
        thickness_mm: Of several as clean, the one nearest to this slice thickness [mm].
    """
    if model not in ("normal", "msles2"):
        return None
    levels = itertools.product(
        get_args(NoisePercent),
        get_args(InuPercent),
        sorted(get_args(ThicknessMm), key=lambda thick: abs(thick - thickness_mm)),
    )
    for noise, inu, thick in levels:
        settings = ImageSettings.model_validate(
            {
                "modality": modality,
                "model": model,
                "thickness_mm": thick,
                "noise_percent": noise,
                "inu_percent": inu,
            }
        )
        if find_volume(folder, settings.stem) is not None:
            return settings
    return None


def image_shapes(settings: ImageSettings) -> list[Shape]:
    """Grids (z, y, x) an image may have.

    Planes lie `thickness_mm` apart from z = -72 mm on, each the mean of as many 1 mm planes
    about it, so the first and last may reach out of the head model. 5 mm makes 36 planes by
    BrainWeb's page, 3 mm makes 60 in public readers; nobody names the counts of 7 and 9 mm, so a
    last plane that is not whole may be there.
    """
    planes, rows, columns = SHAPE_ZYX
    whole, rest = divmod(planes, settings.thickness_mm)
    return [(count, rows, columns) for count in range(whole, whole + (rest > 0) + 1)]


def check_image(path: Path, settings: ImageSettings) -> None:
    """Read an image's file to its end.

    Raises:
        SpinforgeError: If it is damaged or on another grid.
    """
    open_volume(path, image_shapes(settings))


def load_image(folder: Path, settings: ImageSettings) -> SimulatedImage:
    """Read one of BrainWeb's images.

    Raises:
        SpinforgeError: If it is missing, damaged, on another grid or without contrast.
    """
    path = find_volume(folder, settings.stem)
    if path is None:
        raise SpinforgeError(
            f"{folder / f'{settings.stem}.mnc.gz'} is missing. Get it with: "
            f"spinforge download images --modality {settings.modality} --model {settings.model} "
            f"--thickness {settings.thickness_mm} --noise {settings.noise_percent} "
            f"--inu {settings.inu_percent} --to {folder}"
        )
    values = read_volume(path, image_shapes(settings)).astype(np.float32)
    if not np.isfinite(values).all() or values.min() == values.max():
        raise SpinforgeError(
            f"{path} holds values {values.min():g} to {values.max():g}: it is no image. Delete it "
            f"and download it again."
        )
    return SimulatedImage(
        values=torch.from_numpy(values.transpose(2, 1, 0).copy()),
        spacing_mm=(1.0, 1.0, float(settings.thickness_mm)),
        settings=settings,
    )
