"""One slice of a procedural head at 4 mm, for tests that need anatomy."""

import functools

import torch

from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.fields import draw_phase, phase_map
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sequences import SpinEcho
from spinforge.simulation.tissue_sets import TISSUE_SETS

SHAPE = (45, 54)


@functools.cache
def head_slice() -> torch.Tensor:
    """Spin-echo image with a smooth phase, (45, 54) complex64."""
    head = generate_head("sub-00", seed=0, spacing_mm=4.0)
    properties = TISSUE_SETS["brainweb_1p5T"].properties
    signal = nominal_amplitudes(SpinEcho(), properties, head.tissues).real
    slab = head.memberships[:, : SHAPE[0], : SHAPE[1], 22].double()
    phase = phase_map(draw_phase(SampleRng(0, "phase"), fov_mm=(180.0, 216.0)), (*SHAPE, 45))
    image = torch.polar(torch.einsum("txy,t->xy", slab, signal), phase[:, :, 22])
    return image.to(torch.complex64)


def nrmse(value: torch.Tensor, reference: torch.Tensor) -> float:
    """Root-mean-square error over the root mean square of the reference."""
    return float((value - reference).norm() / reference.norm())
