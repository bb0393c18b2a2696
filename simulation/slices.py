"""From a volume to the slices a 2-D acquisition excites."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from spinforge.simulation.arrays import Labels, SliceMemberships, SoftTargets
from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom, target_labels
from spinforge.simulation.tissue import TARGET_NAMES

# Largest matrix of any source: BrainWeb's 181 x 217 x 181 mm less its last voxel of each axis.
FIELD_OF_VIEW_MM = (180.0, 216.0, 180.0)

SliceProfile = Literal["box", "gaussian", "sinc"]


class Slices(Config):
    """Contiguous axial slices from the bottom up."""

    thickness_mm: float = Field(3.0, gt=0, le=30, description="slice thickness [mm]")
    count: int = Field(57, ge=1, le=720, description="slices kept, from the bottom up")


def matrix_size(spacing_mm: float) -> tuple[int, int, int]:
    """Voxels of the field of view along x (phase encoding), y (readout) and z."""
    nx, ny, nz = (int(extent / spacing_mm) for extent in FIELD_OF_VIEW_MM)
    return nx, ny, nz


def slices_in_field_of_view(slices: Slices) -> int:
    """Number of contiguous slices of this thickness from the bottom to the top."""
    return int(FIELD_OF_VIEW_MM[2] / slices.thickness_mm)


def voxels_per_slice(slices: Slices, spacing_mm: float) -> int:
    """Voxels averaged over the thickness of a slice.

    Raises:
        SpinforgeError: If that is no whole number, or the slices leave the field of view.
    """
    voxels = round(slices.thickness_mm / spacing_mm)
    if voxels < 1 or abs(voxels * spacing_mm - slices.thickness_mm) > 1e-6:
        raise SpinforgeError(
            f"data.slices.thickness_mm = {slices.thickness_mm:g} is not a multiple of the "
            f"{spacing_mm:g} mm voxels. Choose one that is."
        )
    most = slices_in_field_of_view(slices)
    if slices.count > most:
        raise SpinforgeError(
            f"data.slices.count = {slices.count}: so many slices of {slices.thickness_mm:g} mm do "
            f"not fit in the field of view of {FIELD_OF_VIEW_MM[2]:g} mm. The most is {most}."
        )
    return voxels


def profile_weights(profile: SliceProfile, voxels: int) -> Tensor:
    """Share of each voxel plane in a slice; sums to 1.

    A box takes the slice's own planes. The other two have the thickness as full width at half
    maximum and reach one slice further on either side: a Gaussian, and the softened box that a
    windowed sinc pulse excites.

    Returns:
        (voxels,) for a box, (3 voxels,) for the others.
    """
    if profile == "box":
        return torch.full((voxels,), 1 / voxels)
    position = (torch.arange(3 * voxels, dtype=torch.float64) - (3 * voxels - 1) / 2) / voxels
    if profile == "gaussian":
        weights = torch.exp(-4 * math.log(2) * position**2)
    else:
        weights = torch.special.expit(16 * (0.5 - position.abs()))
    return (weights / weights.sum()).float()


def through_slices(volume: Tensor, slices: Slices, spacing_mm: float, weights: Tensor) -> Tensor:
    """Crop a volume to the field of view and average over each slice.

    Args:
        volume: (..., x, y, z).
        slices: Thickness and number.
        spacing_mm: Voxel size [mm].
        weights: Of `profile_weights`.

    Returns:
        (..., x, y, slice).
    """
    step = voxels_per_slice(slices, spacing_mm)
    nx, ny, _ = matrix_size(spacing_mm)
    beyond = (len(weights) - step) // 2
    planes = torch.arange(-beyond, slices.count * step + beyond).clamp(0, volume.shape[-1] - 1)
    kept = volume[..., :nx, :ny, planes]
    return kept.unfold(-1, len(weights), step) @ weights.to(kept.dtype)


def slice_memberships(
    phantom: Phantom, slices: Slices, profile: SliceProfile = "box"
) -> SliceMemberships:
    """Memberships of each slice.

    Returns:
        (slice, tissue, ky, kx) float32; ky is x (left-right), kx is y (posterior-anterior).
    """
    spacing = phantom.spacing_mm
    weights = profile_weights(profile, voxels_per_slice(slices, spacing))
    # A tissue at a time: a copy of the whole volume takes more memory than all the rest.
    averaged = [through_slices(t.float(), slices, spacing, weights) for t in phantom.memberships]
    return torch.stack(averaged).permute(3, 0, 1, 2).contiguous()


def warped(memberships: SliceMemberships, largest_mm: float, spacing_mm: float) -> SliceMemberships:
    """Shift voxels as non-linear gradients do: by the cube of the distance from the centre.

    In the plane only: a slice stays flat. Intensities are not scaled by how tissue is drawn
    together, and the fields stay where they were.

    Args:
        memberships: (slice, tissue, ky, kx).
        largest_mm: Shift at the edge of the field of view [mm].
        spacing_mm: Voxel size [mm].
    """
    _, _, height, width = memberships.shape
    ky, kx = (
        (2 * torch.arange(count, dtype=torch.float64) + 1) / count - 1 for count in (height, width)
    )
    shift_y, shift_x = (2 * largest_mm / spacing_mm / count for count in (height, width))
    grid_y, grid_x = torch.meshgrid(ky + shift_y * ky**3, kx + shift_x * kx**3, indexing="ij")
    grid = torch.stack((grid_x, grid_y), dim=-1).to(memberships)
    grid = grid.expand(len(memberships), -1, -1, -1)
    return functional.grid_sample(memberships, grid, align_corners=False, padding_mode="border")


def slice_targets(memberships: SliceMemberships, codes: Tensor) -> Labels:
    """Most abundant tissue, mapped to background, CSF, GM and WM; (slice, ky, kx) uint8.

    Args:
        memberships: (slice, tissue, ky, kx).
        codes: Tissue code of each entry of the tissue axis.
    """
    return target_labels(codes[memberships.argmax(1)])


def soft_targets(memberships: SliceMemberships) -> SoftTargets:
    """Memberships of the four targets: every other tissue adds to the background."""
    tissues = memberships[:, 1 : len(TARGET_NAMES)]
    background: Tensor = 1 - tissues.sum(1, keepdim=True)
    return torch.cat((background.clamp(0, 1), tissues), dim=1)
