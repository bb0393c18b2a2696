"""What slices look like to a network: kept in its file, so that other scans can be shown alike."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from spinforge.datasets.slice_table import VIEW_AXIS, View
from spinforge.simulation.config import Config

Scaling = Literal["slice", "volume", "none"]
"""How intensities are divided: `Preprocessing` of `models/export` has them in words."""

COMPLEX_CHANNELS = ("real", "imaginary")

PLANE_AXES: dict[View, str] = {"axial": "SAR", "coronal": "ASR", "sagittal": "RSA"}
"""Axes of the slices of stored images, see `Plane.axes`."""

KSPACE_AXES = "SRA"
"""Axes of slices from k-space: phase encoding left to right is the first in the slice."""


class Plane(Config):
    """How slices lie in the head."""

    axes: str = Field(
        pattern="^(SRA|SAR|ASR|RSA)$",
        description="where the number of the slice, its rows and its columns count up to, one "
        "letter each: R right, A anterior, S superior; SAR is an axial slice of rows (y) and "
        "columns (x)",
    )
    pixel_mm: tuple[float, float] = Field(
        description="distance between rows and between columns [mm], of the first subject"
    )
    slice_mm: float = Field(gt=0, description="distance between slices [mm], of the first subject")

    @property
    def view(self) -> View:
        """Across which axis of the body the slices lie."""
        views: dict[str, View] = {"S": "axial", "A": "coronal", "R": "sagittal"}
        return views[self.axes[0]]


class SliceFormat(Config):
    """What a network was shown in training, but for the pixels themselves."""

    content: Literal["image", "sequence", "kspace"] = Field(
        description="single slices, sequences of them, or the acquired lines of k-space"
    )
    channels: tuple[str, ...] = Field(
        description="contrasts in order, or real and imaginary part (of k-space's image too)"
    )
    scaling: Scaling = Field(
        description="slice: by the 99th percentile of a slice's magnitude; volume: each contrast "
        "by the 99th percentile of its values above 0; none: from 0 to 1 as they are"
    )
    window: tuple[float, float] | None = Field(
        None,
        description="values that were brought to 0 and to 1 first, those beyond clipped [HU]; of "
        "CT. Missing in files of before this was noted",
    )
    planes: tuple[Plane, ...] = Field(
        description="how slices lay, the first being the usual one; none of photographs"
    )
    size: tuple[int, int] = Field(
        description="rows and columns of every slice, padding included [pixel]"
    )
    is_padded: bool = Field(description="whether slices were padded to that size with zeros")
    class_names: tuple[str, ...] = Field(description="names of the labels 0, 1, ...")
    is_brain_only: bool = Field(False, description="whether all but the brain was set to 0")
    acquired: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of the lines of k-space that were acquired, in the mean; of slices "
        "from k-space",
    )

    @property
    def in_words(self) -> str:
        """What an image must be like, for a person who has the network but not Spinforge."""
        ends = {"R": "right", "A": "anterior", "S": "superior"}
        channels = f"channels: {', '.join(self.channels)}"
        brain = "; all but the brain set to 0 first" if self.is_brain_only else ""
        planes = [
            f"{plane.view} slices, rows towards {ends[plane.axes[1]]}, columns towards "
            f"{ends[plane.axes[2]]}, pixels of {plane.pixel_mm[0]:.3g} x {plane.pixel_mm[1]:.3g} mm"
            for plane in self.planes
        ]
        return "; ".join([channels + brain, *planes])

    @property
    def padded_to(self) -> tuple[int, int] | None:
        """The size that slices were padded to, if they were."""
        return self.size if self.is_padded else None


def window_of(attributes: Mapping[str, Any]) -> tuple[float, float] | None:
    """The window that stored values were brought to 0 and 1 from [HU]; None of what is no CT.

    Args:
        attributes: Of a subject of a set.
    """
    window = attributes.get("parameters", {}).get("window_hu")
    return None if window is None else (float(window[0]), float(window[1]))


def image_planes(
    views: tuple[View, ...], spacing_mm: tuple[float, float, float]
) -> tuple[Plane, ...]:
    """Planes of stored images.

    Args:
        views: In the order wanted.
        spacing_mm: Size of a voxel along z, y and x [mm].
    """
    planes = []
    for view in views:
        axis = VIEW_AXIS[view]
        row, column = (mm for other, mm in enumerate(spacing_mm) if other != axis)
        planes.append(
            Plane(axes=PLANE_AXES[view], pixel_mm=(row, column), slice_mm=spacing_mm[axis])
        )
    return tuple(planes)
