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
    RecordedKSpace,
    SliceMemberships,
    SoftTargets,
)
from spinforge.simulation.contrast import amplitude_table, nominal_amplitudes
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.forward import (
    SLAB,
    Amplitude,
    Fields,
    encode,
    signal_components,
    signal_image,
)
from spinforge.simulation.fourier import kspace_to_image
from spinforge.simulation.noise import Noise, check_noise, draw_noise, noise_std, reference_signal
from spinforge.simulation.phantom import Phantom, coarsened
from spinforge.simulation.readout import readout_factors, sample_times
from spinforge.simulation.scan_fields import (
    chemical_shifts_hz,
    coil_maps,
    on_finer_grid,
    scan_fields,
)
from spinforge.simulation.scan_parameters import (
    ScanParameters,
    draw_scan_parameters,
    line_phases,
)
from spinforge.simulation.scanner import Scanner, check_readout
from spinforge.simulation.sequences import REFOCUSED, PulseSequence
from spinforge.simulation.slice_shift import excited_memberships
from spinforge.simulation.slices import (
    Slices,
    matrix_size,
    slice_memberships,
    slice_targets,
    soft_targets,
    warped,
)
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS, Properties, with_factors


@dataclass(frozen=True)
class Scan:
    """What one simulated scan of one subject delivers.

    Attributes:
        kspace: Noisy, fully sampled k-space, (slice, coil, ky, kx) complex64.
        coil_maps: Receive sensitivities, (slice or 1, coil, ky, kx) complex64.
        image: Noise-free image at unit sensitivity, (slice, ky, kx) complex64.
        target: Segmentation target, (slice, ky, kx) uint8, codes of `TARGET_NAMES`: that of the
            most abundant of all tissues, so not always the largest of `target_soft`.
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
        phantom: Anatomy, cropped here to 180 x 216 x 180 mm; its voxels are the scan's, or a
            half of them with `scanner.supersample` 2.
        slices: Thickness and number.
        sequence: Mean TR and TE and their spread.
        noise: Level.
        scanner: Its imperfections; by default the profile `ideal`.
        seed: Root seed of the data set; every draw is keyed by the subject's and slice's path.
        device: Where the arrays are computed; the result is on the CPU.

    Raises:
        SpinforgeError: If the slices do not fit the phantom's voxels, the phantom does not fill
            the field of view, has a tissue nobody knows or not that of the noise's reference, or
            the readout does not fit.
    """
    scanner = scanner or Scanner()
    check_scan(phantom, sequence, scanner, noise)
    fine, phantom = phantom, coarsened(phantom, scanner.supersample)
    drawn = draw_scan_parameters(phantom.subject, phantom.tissues, sequence, scanner, seed=seed)
    properties = with_factors(TISSUE_SETS[scanner.tissue_set].properties, drawn.tissue_factors)
    memberships = _memberships_in_slices(phantom, slices, scanner)
    maps = coil_maps(phantom, slices, scanner, drawn)

    # What a coil of unit sensitivity would have received comes along as the first coil; a single
    # uniform one is that coil.
    is_uniform = maps.shape[1] == 1 and not drawn.receive
    unit = torch.ones_like(maps[:, :1])
    fields, received = on_finer_grid(
        scan_fields(phantom, slices, scanner, drawn),
        unit if is_uniform else torch.cat((unit, maps), dim=1),
        scanner.supersample,
    )
    excites_what_it_labels = fine is phantom and not scanner.rf_bandwidth_hz
    clean = noise_free_kspace(
        memberships
        if excites_what_it_labels
        else _memberships_in_slices(fine, slices, scanner, fields),
        phantom.tissues,
        properties,
        fields,
        received,
        scanner,
        drawn.sequence,
        device=device,
    ).cpu()
    angles = line_phases(drawn, scanner, len(clean), clean.shape[-2])
    clean *= torch.polar(torch.ones_like(angles), angles).to(clean.dtype)[:, None, :, None]
    image = kspace_to_image(clean[:, 0])

    amplitudes = nominal_amplitudes(drawn.sequence, properties, phantom.tissues)
    reference = reference_signal(noise, drawn.sequence, phantom.tissues, amplitudes, image)
    std = noise_std(noise, reference, slices.thickness_mm)
    full = noise.model_copy(update={"percent": 100.0})
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
        drawn=drawn.record()
        | {"noise_std": std, "reference_signal": noise_std(full, reference, slices.thickness_mm)},
    )


def _memberships_in_slices(
    phantom: Phantom, slices: Slices, scanner: Scanner, fields: Fields | None = None
) -> SliceMemberships:
    """What each slice holds, where the scanner's gradients put it.

    Args:
        phantom: Anatomy.
        slices: Thickness and number.
        scanner: Its slice profile, excitation and gradients.
        fields: With the off-resonance on the phantom's grid: what a slice excites; without: what
            lies in it, which is what its labels show.
    """
    profile = scanner.slice_profile
    if fields is not None and scanner.rf_bandwidth_hz:
        shift = chemical_shifts_hz(scanner)
        memberships = excited_memberships(
            phantom,
            slices,
            profile,
            frequency_hz=lambda tissue: fields.off_resonance + shift.get(tissue, 0.0),
            bandwidth_hz=scanner.rf_bandwidth_hz,
        )
    else:
        memberships = slice_memberships(phantom, slices, profile)
    if scanner.warp_mm:
        memberships = warped(memberships, scanner.warp_mm, phantom.spacing_mm)
    return memberships


def check_scan(phantom: Phantom, sequence: PulseSequence, scanner: Scanner, noise: Noise) -> None:
    """Check what the engine needs of a phantom, of the readout and of the noise's reference.

    Raises:
        SpinforgeError: As `simulate_scan`, but for the slices.
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
    check_noise(noise, sequence, phantom.tissues)


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
) -> RecordedKSpace:
    """k-space of every coil, without noise.

    Args:
        memberships: What the slices hold, (slice, tissue, ky, kx); this and the next on the grid
            of the object, finer than the scan's by `scanner.supersample`.
        tissues: What the entries of its tissue axis are.
        properties: Their relaxation.
        fields: Phase, transmit field and off-resonance, (slice, ky, kx).
        maps: Sensitivities, (slice or 1, coil, ky, kx).
        scanner: Readout and supersampling.
        sequence: For the signal.
        device: Where it is computed.

    Returns:
        (slice, coil, ky, kx) complex64, on `device`.
    """
    finer = scanner.supersample
    amplitude = _amplitude_function(sequence, properties, tissues, fields.b1)
    memberships, maps = memberships.to(device), maps.to(device)
    fields = fields.to(device)
    if not scanner.readout:
        image = signal_image(memberships, amplitude, fields)
        return encode(image[:, None], maps, None, supersample=finer)

    rows = [r for r, tissue in enumerate(tissues) if properties[tissue].proton_density > 0]
    chemical = chemical_shifts_hz(scanner)
    shifts = [chemical.get(tissues[row], 0.0) for row in rows]
    low, high = fields.off_resonance_range
    is_gradient_echo = not isinstance(sequence, REFOCUSED)
    readout = readout_factors(
        properties,
        tuple(tissues[row] for row in rows),
        (low + min(shifts), high + max(shifts)),
        sample_times(memberships.shape[-1] // finer, scanner.bandwidth_hz_per_px)
        * scanner.readout_polarity,
        amplitudes=nominal_amplitudes(sequence, properties, tissues)[rows],
        gradient_echo=is_gradient_echo,
        tolerance=scanner.readout_tolerance,
    )
    basis, slabs = readout.basis.to(device), []
    for slab in torch.arange(len(memberships)).split(SLAB[memberships.device.type]):
        components = signal_components(
            memberships[slab],
            amplitude,
            fields.of(slab),
            readout,
            rows=rows,
            shifts_hz=shifts,
            gradient_echo_te=sequence.echo_time if is_gradient_echo else 0.0,
        )
        seen_by = maps if len(maps) == 1 else maps[slab]
        slabs.append(encode(components, seen_by, basis, supersample=finer))
    return torch.cat(slabs)


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
    """Add noise to every slice, in place: a copy of all coils' k-space is large."""
    for index in range(len(clean)):
        # Two echoes of one scan share everything but their noise, and each noise level is a draw
        # of its own.
        echo = drawn.sequence.echo_name
        rng = drawn.rng(f"slice-{index:03d}", "noise", echo, f"{noise.percent:g}")
        clean[index] += draw_noise(rng, tuple(clean.shape[1:]), std, scanner.coil_correlation)
    return clean


def _signal_of(tissue: Tissue, tissues: tuple[Tissue, ...], amplitudes: Tensor) -> float:
    return float(amplitudes[tissues.index(tissue)].abs()) if tissue in tissues else 0.0
