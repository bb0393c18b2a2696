"""Which tissue a slice really excites: what is off-resonant answers in a plane beside it."""

from collections.abc import Callable

import torch
from torch import Tensor

from spinforge.simulation.arrays import OffResonance, SliceMemberships
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.slices import (
    SliceProfile,
    Slices,
    matrix_size,
    profile_weights,
    voxels_per_slice,
)
from spinforge.simulation.tissue import Tissue


def excited_memberships(
    phantom: Phantom,
    slices: Slices,
    profile: SliceProfile,
    *,
    frequency_hz: Callable[[Tissue], OffResonance],
    bandwidth_hz: float,
) -> SliceMemberships:
    """Memberships of what each slice excites.

    A frequency moves what is there by -f / bandwidth of a slice, as it does along the readout,
    so a slice holds what lies f / bandwidth of its thickness above it. The field is that of the
    nominal slice: within one it hardly changes.

    Args:
        phantom: Anatomy.
        slices: Thickness and number.
        profile: How a slice weighs its planes.
        frequency_hz: Off-resonance of a tissue, chemical shift included, (slice, ky, kx).
        bandwidth_hz: Of the excitation pulse: the frequencies over the slice's thickness [Hz].

    Returns:
        (slice, tissue, ky, kx) float32.
    """
    step = voxels_per_slice(slices, phantom.spacing_mm)
    nx, ny, _ = matrix_size(phantom.spacing_mm)
    weights = profile_weights(profile, step)
    first = torch.arange(slices.count) * step - (len(weights) - step) // 2
    held = []
    for tissue, volume in zip(phantom.tissues, phantom.memberships, strict=True):
        above = frequency_hz(tissue).permute(1, 2, 0).double() / bandwidth_hz * step
        kept = volume[:nx, :ny].float()
        planes = enumerate(weights.tolist())
        held.append(sum(w * _at_height(kept, above + first + plane) for plane, w in planes))
    return torch.stack(held).permute(3, 0, 1, 2).contiguous()


def _at_height(volume: Tensor, plane: Tensor) -> Tensor:
    """Values of (x, y, z) at fractional planes (x, y, slice), linear in between."""
    inside = plane.clamp(0, volume.shape[-1] - 1)
    below = inside.long().clamp(max=volume.shape[-1] - 2)
    share = (inside - below).float()
    return torch.lerp(volume.gather(2, below), volume.gather(2, below + 1), share)
