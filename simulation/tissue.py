"""The tissue classes and what describes one of them; the tables are in tissue_sets.py."""

from dataclasses import dataclass
from enum import IntEnum


class Tissue(IntEnum):
    """Class codes; 0-11 are those of BrainWeb's twenty anatomical models."""

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
    LESION = 12
    MYOCARDIUM = 13
    BLOOD = 14
    LUNG = 15
    LIVER = 16
    SKIN = 17
    CONNECTIVE = 18


HEAD_TISSUES = tuple(tissue for tissue in Tissue if tissue <= Tissue.MARROW)
"""The twelve classes of a normal head, in the order of its membership axis."""

FAT_TISSUES = (Tissue.FAT, Tissue.AROUND_FAT, Tissue.MARROW)
"""Tissues whose protons are those of fat: shifted in frequency."""

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

    @property
    def r2_prime(self) -> float:
        """Reversible dephasing rate 1/T2* - 1/T2 [1/s]."""
        return 1 / self.t2_star - 1 / self.t2
