"""MRBrainS's view of an elderly head: 48 slices of 3 mm, eight labels, three contrasts at 3 T."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from spinforge.simulation.arrays import LabelVolume, Memberships
from spinforge.simulation.phantoms.ageing import BOTTOM_MM, AgeingHead
from spinforge.simulation.phantoms.head import one_thread
from spinforge.simulation.phantoms.head_fields import Volume
from spinforge.simulation.phantoms.head_hulls import brain_hulls
from spinforge.simulation.phantoms.head_nuclei import basal_ganglia, ventricles
from spinforge.simulation.phantoms.head_subject import in_average_head
from spinforge.simulation.phantoms.stand_in_tissues import ADULT_3T
from spinforge.simulation.tissue import Relaxation, Tissue

SLICES, SLICE_MM = 48, 3.0
MATRIX = 240
"""Voxels along x and y, air around the head included."""

LABEL_NAMES = (
    "background",
    "cortical GM",
    "basal ganglia",
    "WM",
    "WM lesions",
    "extracerebral CSF",
    "ventricles",
    "cerebellum",
    "brainstem",
)
"""MRBrainS13's labels for training."""

MERGED = (0, 2, 2, 3, 3, 1, 1, 0, 0)
"""Each label in the test's terms: 0 background, 1 CSF, 2 GM, 3 WM; 7 and 8 are not scored."""

LOWEST_DIENCEPHALON_MM = -6.0
"""Below this height the core of the brain is its stem [mm]."""

Images = Float[Tensor, "contrast x y slice"]


def ageing_slices(head: AgeingHead) -> Memberships:
    """Memberships averaged over each slice, padded with air to 240 x 240.

    Returns:
        (tissue, 240, 240, 48) for voxels of 0.958 x 0.958 x 3 mm.
    """
    weights = _slice_weights(head)
    slices = torch.einsum("txyz,sz->txys", head.phantom.memberships, weights)
    padded = torch.zeros((len(head.phantom.tissues), MATRIX, MATRIX, SLICES))
    padded[0] = 1.0
    inside = _inside_matrix(head)
    padded[:, inside[0], inside[1]] = slices
    return padded


def _slice_weights(head: AgeingHead) -> Float[Tensor, "slice z"]:
    """Share of each plane of voxels in each slice; every row sums to 1."""
    grid = head.grid
    edges = grid.corner_mm[2] + grid.step_mm * torch.arange(grid.shape[2] + 1, dtype=torch.float64)
    lower = BOTTOM_MM + SLICE_MM * torch.arange(SLICES, dtype=torch.float64)[:, None]
    overlap = torch.minimum(edges[1:], lower + SLICE_MM) - torch.maximum(edges[:-1], lower)
    overlap = overlap.clamp(min=0.0)
    return (overlap / overlap.sum(1, keepdim=True)).float()


def _inside_matrix(head: AgeingHead) -> tuple[slice, slice]:
    """Where the head's voxels lie in the padded matrix."""
    x, y = ((MATRIX - count) // 2 for count in head.grid.shape[:2])
    return slice(x, x + head.grid.shape[0]), slice(y, y + head.grid.shape[1])


def ageing_labels(head: AgeingHead, slices: Memberships) -> LabelVolume:
    """MRBrainS13's eight labels: the most abundant tissue, told apart by where it lies.

    Args:
        head: Whose head.
        slices: What `ageing_slices` made of it.

    Returns:
        (240, 240, 48) uint8, codes as in `LABEL_NAMES`.
    """
    codes = torch.tensor(head.phantom.tissues, dtype=torch.uint8)
    tissue = codes[slices.argmax(0)]
    region = torch.zeros((3, MATRIX, MATRIX, SLICES), dtype=torch.bool)
    inside = _inside_matrix(head)
    with one_thread():
        in_cerebellum, in_stem, csf_or_nucleus = _regions(head, tissue[inside])
    for found, target in zip((in_cerebellum, in_stem, csf_or_nucleus), region, strict=True):
        target[inside] = found
    in_cerebellum, in_stem, central = region

    def brain(label: Tensor) -> Tensor:
        return torch.where(in_cerebellum, 7, torch.where(in_stem, 8, label))

    labels = torch.zeros_like(tissue)
    ones = torch.ones_like(labels)
    of_tissue = {
        Tissue.CSF: torch.where(central, 6, 5 * ones),
        Tissue.GREY_MATTER: brain(torch.where(central, 2, ones)),
        Tissue.WHITE_MATTER: brain(3 * ones),
        Tissue.LESION: 4 * ones,
    }
    for code, label in of_tissue.items():
        labels = torch.where(tissue == code, label, labels)
    return labels.to(torch.uint8)


def _regions(head: AgeingHead, tissue: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whether a voxel is in the cerebellum, in the stem, or in a ventricle or basal ganglion."""
    x, y, _ = head.grid.axes()
    z = BOTTOM_MM + SLICE_MM * (torch.arange(SLICES) + 0.5)
    block = in_average_head(head.anatomy, (x, y, z))
    hulls = brain_hulls(block)
    others = torch.maximum(hulls.cerebrum, hulls.cerebellum)
    in_stem = (hulls.brain_stem > torch.minimum(others, hulls.cerebellum)) & (
        block.z < LOWEST_DIENCEPHALON_MM
    )
    in_stem &= hulls.brain_stem > -1.0
    in_cerebellum = (hulls.cerebellum > hulls.cerebrum) & ~in_stem
    relief = head.anatomy.relief.on_grid(block.axes)[0]
    widening = head.anatomy.proportions.ventricles
    # A margin, so that a slice's partial volume does not fall to the surroundings.
    in_ventricles = ventricles(block, relief, widening) > -2.0
    in_nuclei = basal_ganglia(block) > -1.5
    central = torch.where(tissue == Tissue.CSF, in_ventricles, in_nuclei)
    return in_cerebellum, in_stem, central


def merge_labels(labels: LabelVolume) -> LabelVolume:
    """The three tissues MRBrainS13 scores: cortex and nuclei, white matter and lesions, CSF."""
    return torch.tensor(MERGED, dtype=torch.uint8)[labels.long()]


def spoiled_gradient_echo(tissue: Relaxation, *, tr: float, te: float, flip_angle: float) -> float:
    r"""Steady state of a spoiled gradient echo.

    $S = \rho\sin\alpha\,\frac{1 - E_1}{1 - E_1\cos\alpha}\,e^{-T_E/T_2^*}$.

    Args:
        tissue: Relaxation times and proton density.
        tr: Repetition time [s].
        te: Echo time [s].
        flip_angle: Of each pulse [rad].

    Source:
        Bernstein et al., Handbook of MRI Pulse Sequences (2004), section 14.1.
    """
    e1 = math.exp(-tr / tissue.t1)
    steady = (1.0 - e1) / (1.0 - e1 * math.cos(flip_angle))
    decay = math.exp(-te / tissue.t2_star)
    return tissue.proton_density * math.sin(flip_angle) * steady * decay


def inversion_recovery(tissue: Relaxation, *, tr: float, te: float, ti: float) -> float:
    r"""Signed signal of a repeated, inversion-prepared spin echo.

    $S = \rho\,(1 - 2e^{-T_I/T_1} + 2e^{-(T_R - T_E/2)/T_1} - e^{-T_R/T_1})\,e^{-T_E/T_2}$.

    Args:
        tissue: Relaxation times and proton density.
        tr: Repetition time [s].
        te: Echo time [s].
        ti: From the inversion to the excitation [s].

    Source:
        Bernstein et al., Handbook of MRI Pulse Sequences (2004), section 14.2.
    """
    recovered = (
        1.0
        - 2.0 * math.exp(-ti / tissue.t1)
        + 2.0 * math.exp(-(tr - te / 2.0) / tissue.t1)
        - math.exp(-tr / tissue.t1)
    )
    return tissue.proton_density * recovered * math.exp(-te / tissue.t2)


def ageing_images(slices: Memberships, tissues: tuple[Tissue, ...]) -> Images:
    """Noise-free T1, T1-IR and FLAIR images at 3 T with MRBrainS's timing.

    The flip angle of T1 and the echo time of T1-IR are our choice.

    Args:
        slices: Memberships of each slice.
        tissues: What their first axis is.

    Returns:
        Magnitudes in units of the proton density, (contrast, x, y, slice).
    """
    t1_weighted, t1_ir, flair = (
        torch.tensor([signal(ADULT_3T[tissue]) for tissue in tissues])
        for signal in (_t1_weighted, _t1_ir, _flair)
    )

    def image(signals: Tensor) -> Volume:
        return torch.einsum("t,txyz->xyz", signals, slices).abs_()

    return torch.stack((image(t1_weighted), image(t1_ir), image(flair)))


def _t1_weighted(tissue: Relaxation) -> float:
    return spoiled_gradient_echo(tissue, tr=7.9e-3, te=4.5e-3, flip_angle=math.radians(8.0))


def _t1_ir(tissue: Relaxation) -> float:
    return inversion_recovery(tissue, tr=4.416, te=15e-3, ti=0.400)


def _flair(tissue: Relaxation) -> float:
    return inversion_recovery(tissue, tr=11.0, te=0.125, ti=2.8)
