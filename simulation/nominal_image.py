"""Images without any scanner between them and the signal equations, as BrainWeb's simulator has."""

import torch

from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.sequences import DualEcho, GradientEcho, PulseSequence
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import Properties

BRAINWEB_PROTOCOL: dict[str, PulseSequence] = {
    "T1": GradientEcho(kind="gradient_echo", variation=0.0),
    "T2": DualEcho(kind="dual_echo", variation=0.0),
    "PD": DualEcho(kind="dual_echo", echo="early", variation=0.0),
}
"""BrainWeb's ICBM templates: SFLASH 18/10/30, late and early echo of a dual echo 3300/35,120."""

BRAINWEB_REFERENCES = {"T1": Tissue.WHITE_MATTER, "T2": Tissue.CSF, "PD": Tissue.CSF}
"""Tissue whose signal is 100 % noise: BrainWeb's coil files and FAQ."""


def nominal_image(phantom: Phantom, sequence: PulseSequence, properties: Properties) -> Volume:
    """Magnitude image of a phantom where flip angles and frequency are as set, without noise.

    The signals of a voxel's tissues are mixed by membership, before the magnitude: an inversion
    recovery has signals of either sign.

    Args:
        phantom: Anatomy; its voxels are those of the image.
        sequence: With the TR and TE of this scan.
        properties: Relaxation of every tissue.

    Returns:
        (x, y, z) float32 in units of the proton density.
    """
    signals = nominal_amplitudes(sequence, properties, phantom.tissues).real.tolist()
    image = torch.zeros(phantom.memberships.shape[1:])
    for membership, signal in zip(phantom.memberships, signals, strict=True):
        image.add_(membership.float(), alpha=signal)
    return image.abs_()


def pure_signal(tissue: Tissue, sequence: PulseSequence, properties: Properties) -> float:
    """Magnitude of the signal of a voxel full of one tissue, in units of the proton density."""
    return float(nominal_amplitudes(sequence, properties, (tissue,)).abs()[0])
