"""The forward chain of one subject, a line a stage: phantom -> slices -> signal -> k-space."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from spinforge.simulation.arrays import (
    CoilKSpace,
    ComplexImage,
    Labels,
    SliceMemberships,
    SoftTargets,
)
from spinforge.simulation.config import Config
from spinforge.simulation.contrast import SpinEcho, draw_timing, tissue_amplitudes
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fields import draw_phase, phase_map
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.noise import Noise, draw_noise, noise_std
from spinforge.simulation.phantom import Phantom, target_labels
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import TARGET_NAMES, Tissue
from spinforge.simulation.tissue_sets import BRAINWEB_1P5T

# Largest matrix of any source: BrainWeb's 181 x 217 x 181 mm less its last voxel of each axis.
FIELD_OF_VIEW_MM = (180.0, 216.0, 180.0)


class Slices(Config):
    """Contiguous axial slices from the bottom up."""

    thickness_mm: float = Field(3.0, gt=0, le=30, description="slice thickness [mm]")
    count: int = Field(57, ge=1, le=720, description="slices kept; the superior rest is air")


@dataclass(frozen=True)
class Scan:
    """What one simulated scan of one subject delivers.

    Attributes:
        kspace: Noisy, fully sampled k-space, (slice, coil, ky, kx) complex64.
        image: Noise-free object at unit sensitivity, (slice, ky, kx) complex64.
        target: Segmentation target, (slice, ky, kx) uint8, codes of `TARGET_NAMES`.
        target_soft: Memberships of the four targets, (slice, target, ky, kx), sum to 1.
        tr: Repetition time [s].
        te: Echo time [s].
        white_matter_signal: Noise-free signal of pure white matter at this TR and TE.
        noise_std: Noise per real and imaginary channel.
        drawn: All drawn parameters, for the record.
    """

    kspace: CoilKSpace
    image: ComplexImage
    target: Labels
    target_soft: SoftTargets
    tr: float
    te: float
    white_matter_signal: float
    noise_std: float
    drawn: dict[str, Any]


def simulate_scan(
    phantom: Phantom, slices: Slices, sequence: SpinEcho, noise: Noise, *, seed: int
) -> Scan:
    """Scan one phantom with an ideal spin echo and one uniform coil.

    Each fuzzy tissue is simulated and the signals are summed, which is exact for partial
    volume; averaging T1 and T2 within a voxel would not be.

    Args:
        phantom: Anatomy, cropped here to 180 x 216 x 180 mm.
        slices: Thickness and number.
        sequence: Mean TR and TE and their spread.
        noise: Level.
        seed: Root seed of the data set; every draw is keyed by the subject's and slice's path.

    Raises:
        SpinforgeError: If the slices do not fit the phantom's voxels.
    """
    path = ("kspace", phantom.subject, "spin-echo")
    memberships = slice_memberships(phantom, slices)
    tr, te = draw_timing(sequence, SampleRng(seed, *path, "timing"))
    amplitudes = tissue_amplitudes(BRAINWEB_1P5T, phantom.tissues, tr=tr, te=te)
    magnitude = torch.einsum("scyx,c->syx", memberships.double(), amplitudes)

    phase = draw_phase(SampleRng(seed, *path, "phase"), fov_mm=FIELD_OF_VIEW_MM[:2])
    n_slices, height, width = magnitude.shape
    # Over the whole field of view, so that a slice's phase does not depend on how many are kept.
    angle = phase_map(phase, (height, width, slices_in_field_of_view(slices)))[:, :, :n_slices]
    image = torch.polar(magnitude, angle.permute(2, 0, 1))

    white_matter = float(amplitudes[phantom.tissues.index(Tissue.WHITE_MATTER)])
    std = noise_std(noise, white_matter)
    kspace = image_to_kspace(image)[:, None].to(torch.complex64)
    for index in range(n_slices):
        rng = SampleRng(seed, *path, f"slice-{index:03d}", "noise", f"{noise.percent:g}")
        kspace[index] += draw_noise(rng, tuple(kspace.shape[1:]), std)

    return Scan(
        kspace=kspace,
        image=image.to(torch.complex64),
        target=slice_targets(memberships),
        target_soft=soft_targets(memberships),
        tr=tr,
        te=te,
        white_matter_signal=white_matter,
        noise_std=std,
        drawn={"tr_s": tr, "te_s": te, "noise_std": std, "phase": asdict(phase)},
    )


def slice_memberships(phantom: Phantom, slices: Slices) -> SliceMemberships:
    """Crop to the field of view and average over the slice thickness.

    Returns:
        (slice, tissue, ky, kx) float32; ky is x (left-right), kx is y (posterior-anterior).
    """
    spacing = phantom.spacing_mm
    per_slice = voxels_per_slice(slices, spacing)
    nx, ny, _ = matrix_size(spacing)
    kept = phantom.memberships[:, :nx, :ny, : slices.count * per_slice]
    slabs = kept.reshape(len(phantom.tissues), nx, ny, slices.count, per_slice).mean(-1)
    return slabs.permute(3, 0, 1, 2).contiguous()


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


def slice_targets(memberships: SliceMemberships) -> Labels:
    """Most abundant tissue, mapped to background, CSF, GM and WM; (slice, ky, kx) uint8."""
    return target_labels(memberships.argmax(1).to(torch.uint8))


def soft_targets(memberships: SliceMemberships) -> SoftTargets:
    """Memberships of the four targets: every other tissue adds to the background."""
    tissues = memberships[:, 1 : len(TARGET_NAMES)]
    background: Tensor = 1 - tissues.sum(1, keepdim=True)
    return torch.cat((background.clamp(0, 1), tissues), dim=1)
