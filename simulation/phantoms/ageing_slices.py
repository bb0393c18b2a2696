"""MRBrainS's view of an elderly head: 48 slices of 3 mm, eight labels, three contrasts at 3 T."""

import torch
from jaxtyping import Float
from torch import Tensor

from spinforge.simulation.arrays import LabelVolume, Memberships
from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.phantoms.ageing import BOTTOM_MM, AgeingHead
from spinforge.simulation.phantoms.head_hulls import brain_hulls
from spinforge.simulation.phantoms.head_nuclei import basal_ganglia, ventricles
from spinforge.simulation.phantoms.head_subject import in_average_head
from spinforge.simulation.phantoms.threads import one_thread
from spinforge.simulation.sequences import GradientEcho, InversionRecovery
from spinforge.simulation.tissue import Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

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

# MRBrainS's timing (https://mrbrains18.isi.uu.nl/data); the flip angle of T1 is our choice.
PROTOCOL = (
    GradientEcho(kind="gradient_echo", tr_ms=7.9, te_ms=4.5, flip_deg=8.0, variation=0.0),
    InversionRecovery(
        kind="inversion_recovery", tr_ms=4416.0, te_ms=15.0, ti_ms=400.0, variation=0.0
    ),
    InversionRecovery(
        kind="inversion_recovery", tr_ms=11_000.0, te_ms=125.0, ti_ms=2800.0, variation=0.0
    ),
)
"""T1, T1-IR and FLAIR."""

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


def ageing_images(slices: Memberships, tissues: tuple[Tissue, ...]) -> Images:
    """Noise-free T1, T1-IR and FLAIR images at 3 T.

    Args:
        slices: Memberships of each slice.
        tissues: What their first axis is.

    Returns:
        Magnitudes in units of the proton density, (contrast, x, y, slice).
    """
    properties = TISSUE_SETS["literature_3T"].properties
    signals = [nominal_amplitudes(sequence, properties, tissues) for sequence in PROTOCOL]
    return torch.einsum("ct,txyz->cxyz", torch.stack(signals).real.float(), slices).abs_()
