"""The forward chain of one subject, a line a stage: phantom -> slices -> signal -> k-space."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spinforge.simulation.arrays import (
    CoilKSpace,
    CoilMaps,
    ComplexImage,
    Labels,
    SliceMemberships,
    SoftTargets,
)
from spinforge.simulation.coils import birdcage_maps, receive_profile
from spinforge.simulation.contrast import amplitude_table, nominal_amplitudes
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fields import phase_map, transmit_field
from spinforge.simulation.forward import (
    Amplitude,
    Fields,
    encode,
    signal_components,
    signal_image,
)
from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.noise import Noise, draw_noise, noise_std, reference_signal
from spinforge.simulation.off_resonance import fat_shift_hz, gaussian_field, susceptibility_field
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.readout import readout_factors, sample_times
from spinforge.simulation.scan_parameters import (
    ScanParameters,
    draw_scan_parameters,
    line_phases,
)
from spinforge.simulation.scanner import Scanner, check_readout
from spinforge.simulation.sequences import REFOCUSED, PulseSequence
from spinforge.simulation.slices import (
    Slices,
    matrix_size,
    profile_weights,
    slice_memberships,
    slice_targets,
    slices_in_field_of_view,
    soft_targets,
    through_slices,
    voxels_per_slice,
    warped,
)
from spinforge.simulation.tissue import FAT_TISSUES, Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS, Properties, with_factors


@dataclass(frozen=True)
class Scan:
    """What one simulated scan of one subject delivers.

    Attributes:
        kspace: Noisy, fully sampled k-space, (slice, coil, ky, kx) complex64.
        coil_maps: Receive sensitivities, (slice or 1, coil, ky, kx) complex64.
        image: Noise-free image at unit sensitivity, (slice, ky, kx) complex64.
        target: Segmentation target, (slice, ky, kx) uint8, codes of `TARGET_NAMES`.
        target_soft: Memberships of the four targets, (slice, target, ky, kx), sum to 1.
        tr: Repetition time [s].
        te: Echo time [s].
        white_matter_signal: Noise-free signal of pure white matter at this TR and TE; 0 without
            white matter.
        noise_std: Noise per real and imaginary channel.
        drawn: All drawn parameters, for the record.
    """

    kspace: CoilKSpace
    coil_maps: CoilMaps
    image: ComplexImage
    target: Labels
    target_soft: SoftTargets
    tr: float
    te: float
    white_matter_signal: float
    noise_std: float
    drawn: dict[str, Any]


def simulate_scan(
    phantom: Phantom,
    slices: Slices,
    sequence: PulseSequence,
    noise: Noise,
    scanner: Scanner | None = None,
    *,
    seed: int,
    device: str = "cpu",
) -> Scan:
    """Scan one phantom.

    Each fuzzy tissue is simulated and the signals are summed, which is exact for partial
    volume; averaging T1 and T2 within a voxel would not be.

    Args:
        phantom: Anatomy, cropped here to 180 x 216 x 180 mm.
        slices: Thickness and number.
        sequence: Mean TR and TE and their spread.
        noise: Level.
        scanner: Its imperfections; by default the profile `ideal`.
        seed: Root seed of the data set; every draw is keyed by the subject's and slice's path.
        device: Where the arrays are computed; the result is on the CPU.

    Raises:
        SpinforgeError: If the slices do not fit the phantom's voxels, the phantom does not fill
            the field of view or has a tissue nobody knows, or the readout does not fit.
    """
    scanner = scanner or Scanner()
    check_scan(phantom, sequence, scanner)
    drawn = draw_scan_parameters(phantom.subject, phantom.tissues, sequence, scanner, seed=seed)
    properties = with_factors(TISSUE_SETS[scanner.tissue_set].properties, drawn.tissue_factors)
    memberships = slice_memberships(phantom, slices, scanner.slice_profile)
    if scanner.warp_mm:
        memberships = warped(memberships, scanner.warp_mm, phantom.spacing_mm)
    fields = scan_fields(phantom, slices, scanner, drawn)
    maps = coil_maps(phantom, slices, scanner, drawn)

    # What a coil of unit sensitivity would have received comes along as the first coil; a single
    # uniform one is that coil.
    is_uniform = maps.shape[1] == 1 and not drawn.receive
    unit = torch.ones_like(maps[:, :1])
    clean = noise_free_kspace(
        memberships,
        phantom.tissues,
        properties,
        fields,
        unit if is_uniform else torch.cat((unit, maps), dim=1),
        scanner,
        drawn.sequence,
        device=device,
    )
    angles = line_phases(drawn, scanner, len(clean), clean.shape[-2])
    clean *= torch.polar(torch.ones_like(angles), angles).to(clean.dtype)[:, None, :, None]
    image = kspace_to_image(clean[:, 0])

    amplitudes = nominal_amplitudes(drawn.sequence, properties, phantom.tissues)
    std = noise_std(noise, reference_signal(noise, phantom.tissues, amplitudes, image))
    codes = torch.tensor(phantom.tissues, dtype=torch.uint8)
    return Scan(
        kspace=_with_noise(clean[:, -maps.shape[1] :], noise, std, scanner, drawn),
        coil_maps=maps,
        image=image,
        target=slice_targets(memberships, codes),
        target_soft=soft_targets(memberships),
        tr=drawn.sequence.tr,
        te=drawn.sequence.echo_time,
        white_matter_signal=_signal_of(Tissue.WHITE_MATTER, phantom.tissues, amplitudes),
        noise_std=std,
        drawn=drawn.record() | {"noise_std": std},
    )


def check_scan(phantom: Phantom, sequence: PulseSequence, scanner: Scanner) -> None:
    """Check what the engine needs of a phantom and of the readout.

    Raises:
        SpinforgeError: As `simulate_scan`.
    """
    check_readout(sequence, scanner)
    known = TISSUE_SETS[scanner.tissue_set].properties
    if unknown := [tissue.name for tissue in phantom.tissues if tissue not in known]:
        raise SpinforgeError(
            f"{phantom.subject}: tissue set {scanner.tissue_set} has no relaxation times for "
            f"{', '.join(unknown)}. Choose another data.scanner.tissue_set."
        )
    shape, needed = phantom.memberships.shape[1:], matrix_size(phantom.spacing_mm)
    if any(have < need for have, need in zip(shape, needed, strict=True)):
        raise SpinforgeError(
            f"{phantom.subject} has {tuple(shape)} voxels of {phantom.spacing_mm:g} mm, fewer than "
            f"the field of view's {needed}."
        )


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


def noise_free_kspace(
    memberships: SliceMemberships,
    tissues: tuple[Tissue, ...],
    properties: Properties,
    fields: Fields,
    maps: CoilMaps,
    scanner: Scanner,
    sequence: PulseSequence,
    *,
    device: str = "cpu",
) -> CoilKSpace:
    """k-space of every coil, without noise; computed on `device`, returned on the CPU."""
    amplitude = _amplitude_function(sequence, properties, tissues, fields.b1)
    memberships, maps = memberships.to(device), maps.to(device)
    fields = fields.to(device)
    if not scanner.readout:
        image = signal_image(memberships, amplitude, fields)
        return encode(image[:, None], maps, None).cpu()

    rows = [r for r, tissue in enumerate(tissues) if properties[tissue].proton_density > 0]
    fat_hz = fat_shift_hz(scanner.fat_ppm, TISSUE_SETS[scanner.tissue_set].field_t)
    shifts = [fat_hz if tissues[row] in FAT_TISSUES else 0.0 for row in rows]
    low, high = fields.off_resonance_range
    is_gradient_echo = not isinstance(sequence, REFOCUSED)
    readout = readout_factors(
        properties,
        tuple(tissues[row] for row in rows),
        (low + min(shifts), high + max(shifts)),
        sample_times(memberships.shape[-1], scanner.bandwidth_hz_per_px),
        amplitudes=nominal_amplitudes(sequence, properties, tissues)[rows],
        gradient_echo=is_gradient_echo,
        tolerance=scanner.readout_tolerance,
    )
    components = signal_components(
        memberships,
        amplitude,
        fields,
        readout,
        rows=rows,
        shifts_hz=shifts,
        gradient_echo_te=sequence.echo_time if is_gradient_echo else 0.0,
    )
    return encode(components, maps, readout.basis.to(device)).cpu()


def _amplitude_function(
    sequence: PulseSequence, properties: Properties, tissues: tuple[Tissue, ...], b1: Tensor
) -> Amplitude:
    """Signal of a tissue over the transmit field; one number where that is uniform."""
    if bool((b1 == 1).all()):
        amplitudes = nominal_amplitudes(sequence, properties, tissues).to(torch.complex64)
        return lambda row, field: amplitudes[row].to(field.device)
    return amplitude_table(sequence, properties, tissues).at


def _with_noise(
    clean: CoilKSpace, noise: Noise, std: float, scanner: Scanner, drawn: ScanParameters
) -> CoilKSpace:
    kspace = clean.clone()
    for index in range(len(kspace)):
        # Two echoes of one scan share everything but their noise.
        echo = drawn.sequence.echo_name
        rng = drawn.rng(f"slice-{index:03d}", "noise", echo, f"{noise.percent:g}")
        kspace[index] += draw_noise(rng, tuple(kspace.shape[1:]), std, scanner.coil_correlation)
    return kspace


def _signal_of(tissue: Tissue, tissues: tuple[Tissue, ...], amplitudes: Tensor) -> float:
    return float(amplitudes[tissues.index(tissue)].abs()) if tissue in tissues else 0.0
