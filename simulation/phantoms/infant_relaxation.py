"""Relaxation of an infant's brain at 3 T as it matures, and the two protocols that show it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from spinforge.simulation.tissue import Tissue

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


# Our calibration, to: R1 from .37 to .76 /s in white matter at three months (Kuehne et al.,
# MP2RAGE at 3 T); R1 of newborn grey matter 30 % and R2 80 % above white matter's (Williams et
# al.); T2 exponential in age (Leppert et al., JMRI 29:258, 2009); and the age at which T1- and
# T2-weighted contrast turns over, 5 to 8 months.
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

CSF_T1, CSF_T2 = 4.2, 2.0
"""Relaxation times of an infant's CSF at 3 T [s]."""


@dataclass(frozen=True)
class Mprage:
    """Inversion-prepared, rapidly spoiled gradient echoes.

    Attributes:
        tr: From one inversion to the next [s].
        ti: From the inversion to the echo of the centre of k-space [s].
        te: Echo time [s].
        flip_angle: Of each excitation [rad].
        echo_spacing: From one excitation to the next [s].
        echoes: Excitations after an inversion; the centre of k-space is in their middle.
    """

    tr: float = 1.9
    ti: float = 0.9
    te: float = 4.38e-3
    flip_angle: float = math.radians(7.0)
    echo_spacing: float = 8.2e-3
    echoes: int = 144

    def __post_init__(self) -> None:
        before = self.ti - self.echoes // 2 * self.echo_spacing
        after = self.tr - before - self.echoes * self.echo_spacing
        if before < 0 or after < 0:
            raise ValueError(
                f"{self.echoes} echoes {self.echo_spacing} s apart do not fit around "
                f"ti={self.ti} s in tr={self.tr} s"
            )


def mprage_signal(
    sequence: Mprage, t1: Tensor, proton_density: Tensor, *, t2_star: float = 0.05
) -> Tensor:
    r"""Steady-state magnitude of the central echo of an MPRAGE.

    Every part of the repetition maps the longitudinal magnetisation $m$ affinely: the inversion
    $m \to -m$, a pause $m \to 1 - (1 - m)E$, and $n$ spoiled excitations
    $m \to (cE)^n m + (1 - E)\frac{1 - (cE)^n}{1 - cE}$ with $c = \cos\alpha$. The steady state
    is the fixed point of their product.

    Args:
        sequence: Timing.
        t1: Longitudinal relaxation time [s].
        proton_density: Relative proton density [1], broadcast against `t1`.
        t2_star: Effective transverse relaxation time, of little weight at these TE [s].

    Returns:
        Signal of their shape, in units of the proton density.

    Source:
        Mugler and Brookeman, MRM 15(1):152 (1990), the sequence.
    """
    half, rest = sequence.echoes // 2, sequence.echoes - sequence.echoes // 2
    before = sequence.ti - half * sequence.echo_spacing
    after = sequence.tr - before - sequence.echoes * sequence.echo_spacing
    recovery = torch.exp(-sequence.echo_spacing / t1)
    shrink = recovery * math.cos(sequence.flip_angle)
    plateau = (1.0 - recovery) / (1.0 - shrink)

    # m -> slope m + offset, from just before the inversion to the centre of k-space ...
    slope = -torch.exp(-before / t1)
    offset = 1.0 + slope
    slope = shrink**half * slope
    offset = plateau + shrink**half * (offset - plateau)
    to_centre = (slope, offset)
    # ... and on to the next inversion.
    slope = shrink**rest * slope
    offset = plateau + shrink**rest * (offset - plateau)
    late = torch.exp(-after / t1)
    slope, offset = late * slope, 1.0 + late * (offset - 1.0)

    steady = offset / (1.0 - slope)
    centre = to_centre[0] * steady + to_centre[1]
    transverse = centre.abs() * math.sin(sequence.flip_angle)
    return proton_density * transverse * math.exp(-sequence.te / t2_star)


def turbo_spin_echo_signal(
    t1: Tensor, t2: Tensor, proton_density: Tensor, *, tr: float = 7.38, te: float = 0.119
) -> Tensor:
    r"""Signal of a long-TR turbo spin echo: $\rho\,(1 - e^{-T_R/T_1})\,e^{-T_E/T_2}$.

    Valid for ideal refocusing and an echo train that is short against TR; TE is the effective
    one.

    Args:
        t1: Longitudinal relaxation time [s].
        t2: Transverse relaxation time [s].
        proton_density: Relative proton density [1].
        tr: Repetition time [s].
        te: Effective echo time [s].

    Returns:
        Signal of the arguments' shape, in units of the proton density.

    Source:
        Bernstein et al., Handbook of MRI Pulse Sequences (2004), section 16.4.
    """
    return proton_density * (1.0 - torch.exp(-tr / t1)) * torch.exp(-te / t2)
