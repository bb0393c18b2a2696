"""Relaxation of an infant's brain at 3 T as it matures, and the two protocols that show it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spinforge.simulation.sequences import MPRAGE, SpinEcho
from spinforge.simulation.steady_state import mprage, spin_echo
from spinforge.simulation.tissue import Relaxation, Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS, Properties

EARLIEST_MONTHS = -1.0
"""Where tissue ripens late, it looks a month younger than a newborn's at most."""


@dataclass(frozen=True)
class Maturation:
    r"""Relaxation of one tissue as a function of age.

    $R_1(a) = R_1^\infty - (R_1^\infty - R_1^0)\,e^{-a/\tau_1}$; T2 and the proton density
    approach their final values alike.

    Attributes:
        t1: T1 at birth and at last [s].
        t1_months: Time constant of R1 [months].
        t2: T2 at birth and at last [s].
        t2_months: Time constant of T2 [months].
        proton_density: Relative proton density at birth and at last [1].
        proton_density_months: Its time constant [months].
    """

    t1: tuple[float, float]
    t1_months: float
    t2: tuple[float, float]
    t2_months: float
    proton_density: tuple[float, float]
    proton_density_months: float

    def at(self, age_months: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """T1 [s], T2 [s] and proton density [1], each of the shape of `age_months`."""
        r1 = _approach(1.0 / self.t1[0], 1.0 / self.t1[1], self.t1_months, age_months)
        t2 = _approach(self.t2[0], self.t2[1], self.t2_months, age_months)
        at_birth, at_last = self.proton_density
        density = _approach(at_birth, at_last, self.proton_density_months, age_months)
        return 1.0 / r1, t2, density


def _approach(at_birth: float, at_last: float, months: float, age_months: Tensor) -> Tensor:
    """Exponential approach."""
    return at_last + (at_birth - at_last) * torch.exp(-age_months / months)


# All values are our choice, calibrated to: R1 from .37 to .76 /s in white matter at three months
# (Kuehne et al., Pediatr Radiol 51:2058, 2021); R1 of newborn frontal grey matter 30 % and R2 80 %
# above white matter's (Williams et al., Radiology 235:595, 2005); T2 exponential in age (Leppert
# et al., JMRI 29:258, 2009); and the age at which T1- and T2-weighted contrast turns over, 5 to 8
# months. Nothing fixed the densities.
MATURATION_3T: dict[Tissue, Maturation] = {
    Tissue.WHITE_MATTER: Maturation(
        t1=(2.60, 1.05),
        t1_months=11.0,
        t2=(0.220, 0.075),
        t2_months=6.0,
        proton_density=(0.92, 0.74),
        proton_density_months=9.0,
    ),
    Tissue.GREY_MATTER: Maturation(
        t1=(2.00, 1.45),
        t1_months=10.0,
        t2=(0.135, 0.095),
        t2_months=8.0,
        proton_density=(0.94, 0.84),
        proton_density_months=9.0,
    ),
}
"""Tissues whose relaxation depends on age; all others keep theirs."""

# CSF: our choice; the rest of the head is an adult's.
_CONSTANT_3T: Properties = {
    **TISSUE_SETS["literature_3T"].properties,
    Tissue.CSF: Relaxation(4.2, 2.0, 2.0, 1.0),
}

LONGEST_T2_STAR = 0.050
"""T2* where T2 is longer: our choice, of little weight at the TE of an MPRAGE [s]."""

T1_WEIGHTED = MPRAGE(
    kind="mprage",
    tr_ms=1900.0,
    te_ms=4.38,
    ti_ms=900.0,
    flip_deg=7.0,
    echo_spacing_ms=8.2,
    echoes=144,
    variation=0.0,
)
"""TR, TE and flip angle as in Zhang et al., NeuroImage 108:214 (2015), sec. 2.1, like those of the
next; its inversion time and its train are our choice."""

# A turbo spin echo of TR 7.38 s, as one spin echo at its effective TE of 119 ms: the time of the
# echo in the centre of k-space. The specified contrast (simulation.md 6.1) takes the magnetisation
# to recover for all of 7.38 s, so TR counts from the echo here.
T2_WEIGHTED = SpinEcho(tr_ms=7380.0 + 119.0, te_ms=119.0, variation=0.0)


def relaxation_at(tissue: Tissue, age_months: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """T1 [s], T2 [s] and proton density [1]: of the shape of the ages if the tissue ripens."""
    if tissue in MATURATION_3T:
        return MATURATION_3T[tissue].at(age_months)
    constant = _CONSTANT_3T[tissue]
    t1, t2, density = torch.tensor([constant.t1, constant.t2, constant.proton_density])
    return t1, t2, density


def infant_signals(tissue: Tissue, age_months: Tensor) -> Tensor:
    """Steady-state signals in the T1-weighted and the T2-weighted protocol.

    Args:
        tissue: Of which tissue.
        age_months: How old it looks [months].

    Returns:
        (2, ...) signed float64 in units of the proton density, shaped like `relaxation_at`.
    """
    t1, t2, density = (part.double() for part in relaxation_at(tissue, age_months))
    b1 = torch.ones_like(t1)
    reversible = 1.0 / t2.clamp(max=LONGEST_T2_STAR) - 1.0 / t2
    t1_weighted = mprage(t1, t2, b1, T1_WEIGHTED) * torch.exp(-T1_WEIGHTED.te * reversible)
    t2_weighted = spin_echo(t1, t2, b1, tr=T2_WEIGHTED.tr, te=T2_WEIGHTED.te)
    return density * torch.stack((t1_weighted, t2_weighted)).real
