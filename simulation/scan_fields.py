"""What the object and the scanner do to each voxel of one scan: fields and sensitivities."""

import torch
from torch import Tensor
from torch.nn import functional

from spinforge.simulation.arrays import CoilMaps, FinerCoilMaps
from spinforge.simulation.coils import birdcage_maps, receive_profile
from spinforge.simulation.fields import phase_map, transmit_field
from spinforge.simulation.forward import Fields
from spinforge.simulation.off_resonance import fat_shift_hz, gaussian_field, susceptibility_field
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.scan_parameters import ScanParameters
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.slices import (
    Slices,
    matrix_size,
    profile_weights,
    slices_in_field_of_view,
    through_slices,
    voxels_per_slice,
)
from spinforge.simulation.tissue import FAT_TISSUES, Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS


def scan_fields(
    phantom: Phantom, slices: Slices, scanner: Scanner, drawn: ScanParameters
) -> Fields:
    """Phase, transmit field and off-resonance of every voxel of every slice.

    Each is made for the whole field of view, so that a slice does not depend on how many are kept.
    """
    spacing = phantom.spacing_mm
    height, width, _ = matrix_size(spacing)
    whole = (height, width, slices_in_field_of_view(slices))
    size_mm = (spacing, spacing, slices.thickness_mm)

    def kept(volume: Tensor) -> Tensor:
        return volume[:, :, : slices.count].permute(2, 0, 1)

    phase = torch.zeros(whole, dtype=torch.float64)
    if drawn.phase:
        phase = phase_map(drawn.phase, whole)
    off_resonance = _off_resonance(phantom, slices, scanner, whole)
    return Fields(
        phase=kept(phase),
        b1=kept(transmit_field(drawn.b1_peak, whole, size_mm)),
        off_resonance=kept(off_resonance),
        off_resonance_range=(float(off_resonance.min()), float(off_resonance.max())),
    )


def _off_resonance(
    phantom: Phantom, slices: Slices, scanner: Scanner, whole: tuple[int, int, int]
) -> Tensor:
    """Mean of the main field's deviation over each slice of the field of view, (x, y, slice)."""
    if scanner.b0 == "none":
        return torch.zeros(whole)
    if scanner.b0 == "susceptibility":
        volume = susceptibility_field(phantom, TISSUE_SETS[scanner.tissue_set].field_t)
    else:
        nx, ny, nz = phantom.memberships.shape[1:]
        volume = gaussian_field((nx, ny, nz), phantom.spacing_mm)
    everything = slices.model_copy(update={"count": whole[2]})
    weights = profile_weights("box", voxels_per_slice(slices, phantom.spacing_mm))
    return through_slices(volume * scanner.b0_scale, everything, phantom.spacing_mm, weights)


def chemical_shifts_hz(scanner: Scanner) -> dict[Tissue, float]:
    """Frequency of every tissue that is not water's [Hz]."""
    fat = fat_shift_hz(scanner.fat_ppm, TISSUE_SETS[scanner.tissue_set].field_t)
    return dict.fromkeys(FAT_TISSUES, fat)


def coil_maps(
    phantom: Phantom, slices: Slices, scanner: Scanner, drawn: ScanParameters
) -> CoilMaps:
    """Sensitivities of the scanner's coils, (slice or 1, coil, ky, kx) complex64."""
    height, width, _ = matrix_size(phantom.spacing_mm)
    if scanner.coils > 1:
        return birdcage_maps(scanner.coils, (height, width))
    if drawn.receive:
        whole = (slices_in_field_of_view(slices), height, width)
        profile = receive_profile(drawn.receive, whole, scanner.receive_range_percent)
        return profile[: slices.count]
    return torch.ones(1, 1, height, width, dtype=torch.complex64)


def on_finer_grid(fields: Fields, maps: CoilMaps, factor: int) -> tuple[Fields, FinerCoilMaps]:
    """Fields and sensitivities between the voxel centres; all of them are smooth.

    Args:
        fields: (slice, ky, kx) each.
        maps: (slice or 1, coil, ky, kx).
        factor: Points a voxel along ky and kx; 1 changes nothing.

    Returns:
        Both on `factor` times as many points along ky and kx.
    """
    if factor == 1:
        return fields, maps
    finer = Fields(
        _between(fields.phase, factor),
        _between(fields.b1, factor),
        _between(fields.off_resonance, factor),
        fields.off_resonance_range,
    )
    return finer, torch.complex(_between(maps.real, factor), _between(maps.imag, factor))


def _between(values: Tensor, factor: int) -> Tensor:
    """Bilinear interpolation of (slice, [coil,] ky, kx) about the voxel centres."""
    stack = values if values.ndim == 4 else values[:, None]
    finer = functional.interpolate(stack, scale_factor=factor, mode="bilinear", align_corners=False)
    return finer.view(*values.shape[:-2], *finer.shape[-2:])
