"""Every figure a procedural head is judged by, beside BrainWeb's normal brain.

The acceptance limits are those of tests/simulation/test_head.py. Figures without a limit are there
to compare. BrainWeb's are those of its discrete normal model at 1 mm, by the same definitions.
"""

import hashlib
import math
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import head_statistics as reference
from head_statistics import CSF, GREY, WHITE

from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.sequences import DualEcho, GradientEcho
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS

TISSUES = (CSF, GREY, WHITE)
_COARSE_MM = 4.0
_SMALLEST_COMPONENT_PX = 10
_BLUR_VOXELS = 0.55


@dataclass(frozen=True)
class Figure:
    """One figure of a head: a column of a table.

    Attributes:
        name: Short, with its unit.
        form: How to print it.
        brainweb: BrainWeb's own; NaN where it has none.
        low: Least that is accepted.
        high: Most that is accepted.
    """

    name: str
    form: str
    brainweb: float = math.nan
    low: float = -math.inf
    high: float = math.inf

    def accepts(self, value: float) -> bool:
        return self.low <= value <= self.high


def _within(name: str, form: str, centre: float, margin: float) -> Figure:
    return Figure(name, form, centre, centre - margin, centre + margin)


_FRACTIONS = {t: 100 * share for t, share in reference.BRAINWEB_FRACTIONS.items()}
_AREAS = (reference.BRAINWEB_GREY_WHITE_AREA_CM2, reference.BRAINWEB_GREY_CSF_AREA_CM2)

LIMITED = (
    _within("CSF %", ".1f", _FRACTIONS[CSF], 2.5),
    _within("GM %", ".1f", _FRACTIONS[GREY], 2.5),
    _within("WM %", ".1f", _FRACTIONS[WHITE], 2.5),
    _within("GM-WM cm2", ".0f", _AREAS[0], 0.12 * _AREAS[0]),
    _within("GM-CSF cm2", ".0f", _AREAS[1], 0.12 * _AREAS[1]),
    Figure("P/A", ".3f", 0.369, 0.34, 0.40),
    Figure("spectrum L1", ".3f", 0.0, high=0.10),
    Figure("connected", ".4f", 0.995, low=0.97),
    Figure("max |grad u|", ".2f", high=0.9),
    Figure("|sum - 1|", ".0e", high=1e-6),
    Figure("empty classes", ".0f", high=0),
    Figure("other bytes", ".0f", high=0),
    Figure("CPU s", ".1f", high=12),
    Figure("GB", ".2f", high=1.5),
)
"""Figures with an acceptance limit."""

COMPARED = (
    Figure("CSF mL", ".0f", 372),
    Figure("GM mL", ".0f", 903),
    Figure("WM mL", ".0f", 675),
    Figure("2V/A mm", ".2f", 3.65),
    Figure("edge CSF", ".2f", 0.62),
    Figure("edge GM", ".2f", 0.45),
    Figure("edge WM", ".2f", 0.32),
    Figure("WM pieces", ".1f", 6.9),
    Figure("x mm", ".0f", 144),
    Figure("y mm", ".0f", 184),
    Figure("z mm", ".0f", 145),
    Figure("3 % CSF", ".3f", 0.996),
    Figure("3 % GM", ".3f", 0.995),
    Figure("3 % WM", ".3f", 0.995),
)
"""Figures without one."""


@dataclass(frozen=True)
class Measured:
    """Figures of one head by name, and its labels of the brain for comparing heads."""

    figures: dict[str, float]
    brain: np.ndarray


def measure(subject: str, seed: int) -> Measured:
    """Make one head in this process and measure it."""
    start = time.process_time()
    head = generate_head(subject, seed=seed)
    seconds = time.process_time() - start
    gigabytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
    labels = head.labels.numpy()
    counts = np.bincount(labels.ravel(), minlength=len(HEAD_TISSUES))
    figures = {
        "max |grad u|": head.parameters["warp_steepest_gradient"],
        "|sum - 1|": float((head.memberships.sum(0) - 1).abs().max()),
        "empty classes": float((counts == 0).sum()),
        "CPU s": seconds,
        "GB": gigabytes,
    }
    brain = reference.largest_brain_component(labels)
    return Measured(figures | brain_figures(labels, brain), brain)


def brain_figures(labels: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    """Everything that follows from the labels of 1 mm voxels alone."""
    statistics = reference.brain_statistics(labels)
    spectrum = np.abs(statistics.white_spectrum - reference.BRAINWEB_WHITE_SPECTRUM).sum()
    figures = {
        "GM-WM cm2": statistics.grey_white_area_cm2,
        "GM-CSF cm2": statistics.grey_csf_area_cm2,
        "P/A": statistics.white_perimeter_per_area,
        "spectrum L1": float(spectrum),
        "connected": min(statistics.dominance.values()),
        "2V/A mm": _grey_thickness_mm(brain),
        "WM pieces": _white_pieces(brain),
    }
    edge = _touches_another_label(brain)
    for name, tissue in zip(("CSF", "GM", "WM"), TISSUES, strict=True):
        figures[f"{name} %"] = 100 * statistics.fractions[tissue]
        figures[f"{name} mL"] = float((brain == tissue).sum()) / 1000
        figures[f"edge {name}"] = float(edge[brain == tissue].mean())
    for axis, name in enumerate(("x mm", "y mm", "z mm")):
        others = tuple(other for other in range(3) if other != axis)
        extent = np.flatnonzero((brain > 0).any(axis=others))
        figures[name] = float(extent[-1] - extent[0] + 1)
    for name, dice in zip(("CSF", "GM", "WM"), difficulty(brain, 3), strict=True):
        figures[f"3 % {name}"] = dice
    return figures


def coarse_digest(subject: str, seed: int, threads: int) -> str:
    """SHA-256 of a coarse head made with this number of threads."""
    torch.set_num_threads(threads)
    head = generate_head(subject, seed=seed, spacing_mm=_COARSE_MM)
    return hashlib.sha256(head.memberships.numpy().tobytes()).hexdigest()


def _grey_thickness_mm(brain: np.ndarray) -> float:
    """Twice the volume of grey matter over the area of all its surface."""
    volume = int((brain == GREY).sum())
    area_cm2 = sum(reference.interface_area_cm2(brain, GREY, other) for other in (0, CSF, WHITE))
    return 2 * volume / (100 * area_cm2)


def _touches_another_label(brain: np.ndarray) -> np.ndarray:
    """Voxels with another label beyond one of their six faces."""
    edge = np.zeros(brain.shape, bool)
    for axis in range(3):
        differs = np.moveaxis(np.diff(brain, axis=axis) != 0, axis, 0)
        view = np.moveaxis(edge, axis, 0)
        view[:-1] |= differs
        view[1:] |= differs
    return edge


def _white_pieces(brain: np.ndarray) -> float:
    """Mean number of pieces of white matter of ten pixels or more in a central axial slice."""
    pieces = []
    for plane in reference.central_axial_white_slices(brain):
        components, _ = ndimage.label(plane)
        sizes = np.bincount(components.ravel())[1:]
        pieces.append(int((sizes >= _SMALLEST_COMPONENT_PX).sum()))
    return float(np.mean(pieces))


def difficulty(brain: np.ndarray, noise_percent: float) -> list[float]:
    """Dice of CSF, GM and WM that known means of BrainWeb's three contrasts reach.

    Hard labels, blurred by 0.55 voxel for partial volume, give T1, T2 and PD images with Rician
    noise; each voxel of the brain goes to the nearest mean.
    """
    fractions = np.stack(
        [ndimage.gaussian_filter((brain == t).astype(np.float32), _BLUR_VOXELS) for t in TISSUES]
    )
    inside = brain > 0
    fractions = fractions[:, inside] / np.maximum(fractions[:, inside].sum(0), 1e-3)
    noise = np.random.default_rng(0)
    distance = np.zeros_like(fractions)
    for signals, of_noise in _brainweb_contrasts():
        std = np.float32(noise_percent / 100 * of_noise)
        real = signals @ fractions + std * noise.standard_normal(len(fractions.T), np.float32)
        image = np.hypot(real, std * noise.standard_normal(len(fractions.T), np.float32))
        distance += ((image - signals[:, None]) / std) ** 2
    found, truth = distance.argmin(0) + 1, brain[inside]
    return [reference.dice(found == tissue, truth == tissue) for tissue in TISSUES]


def _brainweb_contrasts() -> list[tuple[np.ndarray, float]]:
    """Signals of CSF, GM and WM in BrainWeb's T1, T2 and PD images, and what 100 % noise is."""
    properties = TISSUE_SETS["brainweb_1p5T"].properties
    tissues = (Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
    contrasts = [  # the defaults are BrainWeb's; noise is relative to WM for T1, else to CSF
        (GradientEcho(kind="gradient_echo"), 2),
        (DualEcho(kind="dual_echo", echo="late"), 0),
        (DualEcho(kind="dual_echo", echo="early"), 0),
    ]
    answer = []
    for sequence, noise_row in contrasts:
        signals = nominal_amplitudes(sequence, properties, tissues).abs().numpy().astype(np.float32)
        answer.append((signals, float(signals[noise_row])))
    return answer
