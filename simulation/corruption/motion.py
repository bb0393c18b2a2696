"""Rigid motion during the acquisition."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Complex
from torch import Tensor
from torch.nn import functional

from spinforge.simulation.corruption.volume import (
    Image,
    LevelledConfig,
    Record,
    SamplePath,
    Volume,
    through_kspace,
)
from spinforge.simulation.fourier import image_to_kspace

MOTION = ((1.0, 1.0, 2), (2.0, 2.0, 3), (4.0, 4.0, 4), (6.0, 6.0, 5), (10.0, 10.0, 6))
"""Largest rotation [degree] and shift [mm], and number of segments between movements."""

Sensitivity = Complex[Tensor, "#slice ky kx"]
"""Of one coil; one slice where it is the same for all."""

CENTRE_FRACTION = 0.08
_LEVELS_WITH_STILL_CENTRE = (1, 2)


class Motion(LevelledConfig):
    """The head turns and shifts in the plane a few times; between, it lies still.

    Every segment of consecutive lines sees the head in another pose, the first in that of the
    labels. All slices are acquired in turn, so they share the movements.
    """

    kind: Literal["motion"] = "motion"

    def draw(self, volume: Volume, path: SamplePath) -> "Poses":
        """When the head moves, and where to."""
        most_degrees, most_mm, segments = self.of(MOTION)
        n_lines = volume.image.shape[1]
        rng = path.rng("poses")
        moves = 2 * rng.uniforms(segments - 1, 3) - 1
        ends = self._moments(rng.uniforms(n_lines - 1).tolist(), n_lines, segments - 1)
        return Poses(
            starts=(0, *ends),
            degrees=(0.0, *(most_degrees * moves[:, 0]).tolist()),
            shifts_mm=((0.0, 0.0), *((most_mm * m[1], most_mm * m[2]) for m in moves.tolist())),
            pixel_mm=volume.voxel_mm[1:],
        )

    def _moments(self, scores: list[float], n_lines: int, count: int) -> list[int]:
        """Lines before which the head moves; all after the centre at low levels."""
        earliest = 1
        if self.level in _LEVELS_WITH_STILL_CENTRE:
            earliest = n_lines // 2 + math.ceil(CENTRE_FRACTION * n_lines / 2)
        allowed = range(earliest, n_lines)
        return sorted(sorted(allowed, key=lambda line: scores[line - 1])[:count])


@dataclass(frozen=True)
class Poses:
    """The head's pose for each segment of lines.

    Attributes:
        starts: First line of each segment; lines are acquired in order.
        degrees: Rotation about the centre of the field of view, from ky towards kx.
        shifts_mm: Along ky and kx [mm].
        pixel_mm: Size of a pixel along ky and kx [mm].
    """

    starts: tuple[int, ...]
    degrees: tuple[float, ...]
    shifts_mm: tuple[tuple[float, float], ...]
    pixel_mm: tuple[float, float]

    def apply(self, image: Image) -> Image:
        """Take every segment's lines from the k-space of the head in its pose."""
        moving = image.to(torch.complex64)
        return self._through_poses(image, lambda move: move(moving))

    def apply_to_coil(self, image: Image, head: Image, sensitivity: Sensitivity) -> Image:
        """The same as one coil sees it, which stays where it is; as does its noise.

        Args:
            image: Of this coil.
            head: Combined image of all coils, at unit sensitivity.
            sensitivity: Of this coil, complex.
        """
        rest = image - sensitivity * head
        return self._through_poses(image, lambda move: sensitivity * move(head) + rest)

    def _through_poses(
        self, image: Image, seen: Callable[[Callable[[Image], Image]], Image]
    ) -> Image:
        """Segments of k-space of what is `seen` in each pose, which gets the pose's movement."""

        def replace(kspace: Tensor) -> Tensor:
            ends = (*self.starts[1:], image.shape[1])
            poses = zip(self.starts, ends, self.degrees, self.shifts_mm, strict=True)
            for start, end, degrees, shift_mm in list(poses)[1:]:
                move = partial(moved, degrees=degrees, shift_mm=shift_mm, pixel_mm=self.pixel_mm)
                kspace[:, start:end] = image_to_kspace(seen(move))[:, start:end]
            return kspace

        return through_kspace(image, replace)

    def record(self) -> Record:
        """When and where to."""
        return {
            "starts": list(self.starts),
            "degrees": list(self.degrees),
            "shifts_mm": [value for shift in self.shifts_mm for value in shift],
        }


def moved(
    image: Image, degrees: float, shift_mm: tuple[float, float], pixel_mm: tuple[float, float]
) -> Image:
    """Turn complex slices about the centre of the field of view, then shift them; bicubic.

    Args:
        image: (slice, ky, kx) complex64.
        degrees: From ky towards kx.
        shift_mm: Along ky and kx.
        pixel_mm: Size of a pixel along ky and kx.

    Returns:
        Of the same shape; 0 where the head came from outside.
    """
    height, width = image.shape[1:]
    y, x = (
        (torch.arange(count, dtype=torch.float64) - count // 2) * size
        for count, size in zip((height, width), pixel_mm, strict=True)
    )
    y, x = torch.meshgrid(y - shift_mm[0], x - shift_mm[1], indexing="ij")
    angle = math.radians(degrees)
    # Where what is here now was before: the inverse rotation.
    from_y = math.cos(angle) * y + math.sin(angle) * x
    from_x = -math.sin(angle) * y + math.cos(angle) * x
    grid = torch.stack(
        [
            2 * (position / size + count // 2 + 0.5) / count - 1
            for position, size, count in (
                (from_x, pixel_mm[1], width),
                (from_y, pixel_mm[0], height),
            )
        ],
        dim=-1,
    )
    channels = torch.view_as_real(image).permute(0, 3, 1, 2)
    sampled = functional.grid_sample(
        channels,
        grid.to(channels).expand(len(image), -1, -1, -1),
        mode="bicubic",
        align_corners=False,
    )
    return torch.view_as_complex(sampled.permute(0, 2, 3, 1).contiguous())
