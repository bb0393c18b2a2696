"""The twelve tissue classes, their relaxation times and proton densities."""

from dataclasses import dataclass
from enum import IntEnum


class Tissue(IntEnum):
    """Class codes of BrainWeb's twenty anatomical models; the order of every membership axis."""

    BACKGROUND = 0
    CSF = 1
    GREY_MATTER = 2
    WHITE_MATTER = 3
    FAT = 4
    MUSCLE = 5
    MUSCLE_SKIN = 6
    SKULL = 7
    VESSELS = 8
    AROUND_FAT = 9
    DURA = 10
    MARROW = 11


TARGET_NAMES = ("background", "CSF", "GM", "WM")
"""Segmentation targets: tissues 0-3 keep their code, every other tissue is background."""


@dataclass(frozen=True)
class Relaxation:
    """Magnetic properties of one tissue.

    Attributes:
        t1: Longitudinal relaxation time [s].
        t2: Transverse relaxation time [s].
        t2_star: Effective transverse relaxation time [s].
        proton_density: Relative proton density [1]; 0 means no signal at any echo time.
    """

    t1: float
    t2: float
    t2_star: float
    proton_density: float


# BrainWeb's tissue_mr_parameters.txt (31 July 1996, 1.5 T) gives CSF, GM, WM, fat and
# muscle/skin. The twenty models have classes it does not list; those are our choice:
# muscle like muscle/skin, vessels with the values of STANCE's BrainWeb table, fat-like classes at
# 0.9 proton density, dura as dense connective tissue, skull as a solid whose T2 leaves nothing.
BRAINWEB_1P5T: dict[Tissue, Relaxation] = {
    Tissue.BACKGROUND: Relaxation(1.0, 1.0, 1.0, 0.0),
    Tissue.CSF: Relaxation(2.569, 0.329, 0.058, 1.0),
    Tissue.GREY_MATTER: Relaxation(0.833, 0.083, 0.069, 0.86),
    Tissue.WHITE_MATTER: Relaxation(0.500, 0.070, 0.061, 0.77),
    Tissue.FAT: Relaxation(0.350, 0.070, 0.058, 1.0),
    Tissue.MUSCLE: Relaxation(0.900, 0.047, 0.030, 1.0),
    Tissue.MUSCLE_SKIN: Relaxation(0.900, 0.047, 0.030, 1.0),
    Tissue.SKULL: Relaxation(0.260, 0.001, 0.0005, 0.1),
    Tissue.VESSELS: Relaxation(0.900, 0.180, 0.058, 0.87),
    Tissue.AROUND_FAT: Relaxation(0.350, 0.070, 0.058, 0.9),
    Tissue.DURA: Relaxation(0.900, 0.047, 0.030, 0.7),
    Tissue.MARROW: Relaxation(0.350, 0.070, 0.058, 0.9),
}
"""Relaxation at 1.5 T.

Source: BrainWeb, tissue_mr_parameters.txt; Kwan, Evans, Pike, IEEE TMI 18(11):1085 (1999).
"""
