"""Where voxels lie: in the scanner, and in the average anatomy that is warped into a subject."""

from dataclasses import dataclass
from functools import cached_property

import torch

from spinforge.simulation.phantoms.random_fields import Axes, Volume, Volumes

Number = int | float
Vector = tuple[Number, Number, Number]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Block:
    """Some neighbouring voxels: where they lie in the scanner and in the average anatomy.

    Attributes:
        axes: Voxel centres along the three axes of the scanner [mm].
        x: Left to right in the average anatomy, 0 in the midsagittal plane [mm].
        y: Posterior to anterior [mm].
        z: Inferior to superior [mm].
    """

    axes: Axes
    x: Volume
    y: Volume
    z: Volume

    @property
    def points(self) -> tuple[Volume, Volume, Volume]:
        """Where the voxels lie in the average anatomy: x, y and z [mm]."""
        return self.x, self.y, self.z

    @cached_property
    def mirrored(self) -> "Block":
        """The same voxels with the left side folded on to the right: shapes come in pairs."""
        return Block((self.axes[0].abs(), *self.axes[1:]), self.x.abs(), self.y, self.z)

    @property
    def spacing_mm(self) -> float:
        """Edge length of the voxels [mm]."""
        return float(self.axes[2][1] - self.axes[2][0])

    def box_around(self, centre: Vector, half_edges: Vector) -> Box | None:
        """Slices of the voxels in a box of the scanner's frame [mm], if it holds any."""
        slices = []
        for axis, middle, half_edge in zip(self.axes, centre, half_edges, strict=True):
            inside = torch.nonzero((axis - middle).abs() <= half_edge)
            if inside.numel() == 0:
                return None
            slices.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return slices[0], slices[1], slices[2]

    def cropped(self, box: Box) -> "Block":
        """The voxels within `box`."""
        x, y, z = (axis[part] for axis, part in zip(self.axes, box, strict=True))
        return Block((x, y, z), *(points[box].contiguous() for points in self.points))


def warped_block(axes: Axes, positions: Axes, displacement: Volumes) -> Block:
    """Voxels of the scanner in the average anatomy: $x' = p(x) + u(x)$.

    Args:
        axes: Voxel centres along the three axes of the scanner [mm].
        positions: The same in a subject of average size, $p$ [mm].
        displacement: The subject's warp $u$, overwritten [mm].
    """
    x, y, z = torch.unbind(displacement)
    x.add_(positions[0].view(-1, 1, 1))
    y.add_(positions[1].view(1, -1, 1))
    z.add_(positions[2].view(1, 1, -1))
    return Block(axes, x, y, z)


def centred_axes(extents_mm: Vector, steps_mm: Vector) -> Axes:
    """Voxel centres along the three axes, symmetric about 0 [mm].

    Args:
        extents_mm: Edge lengths of the field of view [mm].
        steps_mm: Edge lengths of the voxels [mm].
    """
    counts = [round(extent / step) for extent, step in zip(extents_mm, steps_mm, strict=True)]
    x, y, z = (
        step * (torch.arange(count, dtype=torch.float64) - (count - 1) / 2.0)
        for step, count in zip(steps_mm, counts, strict=True)
    )
    return x.float(), y.float(), z.float()
