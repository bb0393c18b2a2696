"""The forward model: from tissues and fields to the k-space of each coil.

    K_j(kx, ky) = sum_l B_l(kx) FFT[ C_j(r) sum_c m_c(r) a_c(b1(r)) e^{i phi(r)} V_l(c, f_c(r)) ]

with memberships m, amplitudes a, phase phi, coil sensitivities C and the low-rank readout
evolution B, V of readout.py. Without readout effects there is one component and B = V = 1.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spinforge.simulation.arrays import CoilMaps, OffResonance, RecordedKSpace, SliceMemberships
from spinforge.simulation.readout import Readout

# Slices encoded at a time: the components of all coils of one just fit a processor's cache.
_AT_ONCE = defaultdict(lambda: 64, cpu=1)

# Slices whose components are there at a time: on a processor, few take less memory.
SLAB = defaultdict(lambda: 64, cpu=8)

Amplitude = Callable[[int, Tensor], Tensor]
"""Signal of a tissue (its row) where the relative transmit field has these values."""


@dataclass(frozen=True)
class Fields:
    """What the object and the scanner do to each voxel, all (slice, ky, kx).

    Attributes:
        phase: Phase of the object [rad], float64.
        b1: Relative transmit field [1].
        off_resonance: Deviation of water from the scanner's frequency [Hz].
        off_resonance_range: Lowest and highest of it in the whole field of view [Hz].
    """

    phase: Tensor
    b1: Tensor
    off_resonance: OffResonance
    off_resonance_range: tuple[float, float] = (0.0, 0.0)

    def of(self, slices: Tensor) -> "Fields":
        """Those of some slices, by their indices."""
        return Fields(
            self.phase[slices],
            self.b1[slices],
            self.off_resonance[slices],
            self.off_resonance_range,
        )

    def to(self, device: str) -> "Fields":
        """The same on another device."""
        return Fields(
            self.phase.to(device),
            self.b1.to(device),
            self.off_resonance.to(device),
            self.off_resonance_range,
        )


def signal_image(memberships: SliceMemberships, amplitude: Amplitude, fields: Fields) -> Tensor:
    """The object at the echo, without readout effects, (slice, ky, kx) complex64."""
    signal = torch.zeros(fields.phase.shape, dtype=torch.complex64, device=memberships.device)
    for row in range(memberships.shape[1]):
        signal += memberships[:, row] * amplitude(row, fields.b1)
    return signal * torch.polar(torch.ones_like(fields.phase), fields.phase).to(signal.dtype)


def signal_components(
    memberships: SliceMemberships,
    amplitude: Amplitude,
    fields: Fields,
    readout: Readout,
    *,
    rows: list[int],
    shifts_hz: list[float],
    gradient_echo_te: float,
) -> Tensor:
    """The object's components over the readout, only where there is tissue.

    Args:
        memberships: (slice, tissue, ky, kx).
        amplitude: Signal at the echo.
        fields: Phase, transmit field and off-resonance.
        readout: Low-rank evolution.
        rows: Tissues with signal; entries of the readout's tissue axis.
        shifts_hz: Chemical shift of each of them [Hz].
        gradient_echo_te: Time over which off-resonance has acted at the echo [s]; 0 for a spin
            echo, which refocuses it.

    Returns:
        (slice, component, ky, kx) complex64.
    """
    n_slices, _, height, width = memberships.shape
    phase, b1 = fields.phase.flatten(), fields.b1.flatten()
    off_resonance = fields.off_resonance.flatten()
    components = torch.zeros(
        (phase.numel(), readout.rank), dtype=torch.complex64, device=memberships.device
    )
    for entry, (row, shift) in enumerate(zip(rows, shifts_hz, strict=True)):
        share = memberships[:, row].flatten()
        inside = share.nonzero()[:, 0]
        frequency = off_resonance[inside] + shift
        angle = phase[inside] + 2 * torch.pi * frequency.double() * gradient_echo_te
        turned = torch.polar(share[inside].double(), angle).to(torch.complex64)
        signal = turned * amplitude(row, b1[inside])
        # Each voxel once a tissue, so the sum has one order and one result.
        components[inside] += signal[:, None] * readout.at(entry, frequency)
    return components.view(n_slices, height, width, -1).permute(0, 3, 1, 2).contiguous()


def encode(
    components: Tensor, coil_maps: CoilMaps, basis: Tensor | None, *, supersample: int = 1
) -> RecordedKSpace:
    """Fourier encoding of the components seen by each coil.

    Args:
        components: (slice, component, ky, kx) complex64.
        coil_maps: (slice or 1, coil, ky, kx).
        basis: Readout evolution (kx, component); None for one component that does not evolve.
        supersample: Points of the object a voxel, along ky and kx: only the centre of its k-space
            is recorded, which brings Gibbs ringing.

    Returns:
        (slice, coil, ky, kx) complex64, centred and orthonormal; smaller than the components by
        `supersample`, with images of the same intensity at the same place.
    """
    plane = (-2, -1)
    shifted = torch.fft.ifftshift(components, dim=plane)
    maps = torch.fft.ifftshift(coil_maps, dim=plane).expand(len(components), -1, -1, -1)
    weights = None if basis is None else torch.fft.ifftshift(basis, dim=0).mT[:, None, :]
    height, width = (count // supersample for count in maps.shape[-2:])
    kspace = torch.empty(
        (*maps.shape[:2], height, width), dtype=torch.complex64, device=components.device
    )
    for batch in torch.arange(len(shifted)).split(_AT_ONCE[components.device.type]):
        seen = maps[batch][:, :, None] * shifted[batch][:, None]
        lines = _truncated(torch.fft.fft(seen, dim=-1, norm="ortho"), supersample)
        evolved = lines[:, :, 0] if weights is None else (lines * weights).sum(2)
        columns = torch.fft.fft(evolved, dim=-2, norm="ortho")
        kspace[batch] = _truncated(columns.mT, supersample).mT
    return torch.fft.fftshift(kspace, dim=plane)


def _truncated(spectrum: Tensor, supersample: int) -> Tensor:
    """The low frequencies of the last axis, in the FFT's order, as a coarser grid has them.

    Each point stands for the box around it, so this is the Fourier transform of an object that is
    constant within small boxes, whose sharp edges truncation makes ring as Gibbs found. Points
    would repeat their spectrum and ring stronger.
    """
    if supersample == 1:
        return spectrum
    fine = spectrum.shape[-1]
    count = fine // supersample
    frequencies = torch.fft.ifftshift(torch.arange(count) - count // 2)
    # A coarse voxel's centre lies between the centres of its points; the image centre is that
    # of a voxel, index count // 2.
    offset = supersample * (count // 2) + (supersample - 1) / 2 - fine // 2
    box = torch.sinc(frequencies / fine) * supersample**-0.5
    turn = torch.polar(torch.ones(count), 2 * torch.pi * frequencies * offset / fine) * box
    return spectrum[..., frequencies % fine] * turn.to(spectrum)
