"""How a brain grows in its first years: sizes relative to one year of age."""

import math
from dataclasses import dataclass, replace

from spinforge.simulation.phantoms.head_subject import Proportions

GROWTH_MONTHS = 3.3
"""Time constant of growth: with it the brain gains 62 % in three months, close to [2]."""

REFERENCE_MONTHS = 12.0
SHARE_OF_ADULT = 0.72
"""Brain volume at one year relative to the adult's [1]."""

BRAIN_GAIN = 1.01
GREY_GAIN = 1.49
WHITE_GAIN = 0.11
VENTRICLE_GAIN = 2.80
"""Growth in the first year relative to birth [1]: total brain, hemispheric grey and white
matter, lateral ventricles."""

VENTRICLE_RADIUS_MM = 6.2
WALL_MM_PER_WIDENING = 4.0
"""Effective radius of the average lateral ventricle, and how far `widening` moves its wall [mm].

The radius is fitted: with it four subjects' ventricles grow by what was published within 7 %.
"""

SKULL_AT_BIRTH_MM = 1.9
SKULL_AT_ONE_YEAR_MM = 2.8
"""Our choice: thin enough at birth to have no marrow between its tables."""


def first_year(age_months: float) -> float:
    r"""Share of the first year's growth done: $(1-e^{-a/\tau})/(1-e^{-12/\tau})$.

    0 at birth, 1 at one year; it saturates at 1.03.

    Source:
        [1] Knickmeyer et al., J. Neurosci. 28(47):12176 (2008), growth of each part;
        [2] Holland et al., JAMA Neurol. 71(10):1266 (2014), +64 % in the first 90 days.
    """
    return math.expm1(-age_months / GROWTH_MONTHS) / math.expm1(-REFERENCE_MONTHS / GROWTH_MONTHS)


def relative_volume(gain: float, age_months: float) -> float:
    """Volume relative to birth [1] of a part that gains `gain` in the first year."""
    return 1.0 + gain * first_year(age_months)


def _since_one_year(gain: float, age_months: float) -> float:
    """Volume relative to one year [1]."""
    return relative_volume(gain, age_months) / (1.0 + gain)


@dataclass(frozen=True)
class Growth:
    """Sizes of one infant at one age.

    Attributes:
        size: Edge length of the head relative to the adult's [1].
        cortex: Thickness of the cortex in a head of adult size, relative to the adult's [1].
        ventricles: Volume of the lateral ventricles as a share of the brain, relative to one
            year [1].
        skull_mm: Thickness of the skull [mm].
        distance: How far from the shape of one year: 0 there, largest at birth [1].
    """

    size: float
    cortex: float
    ventricles: float
    skull_mm: float
    distance: float


def growth_at(age_months: float) -> Growth:
    """Sizes at an age; all are smooth and, but for `cortex` and `ventricles`, monotone in it."""
    brain = _since_one_year(BRAIN_GAIN, age_months)
    grey = _since_one_year(GREY_GAIN, age_months)
    white = _since_one_year(WHITE_GAIN, age_months)
    done = first_year(age_months)
    return Growth(
        size=(SHARE_OF_ADULT * brain) ** (1.0 / 3.0),
        cortex=math.sqrt(grey / white),
        ventricles=_since_one_year(VENTRICLE_GAIN, age_months) / brain,
        skull_mm=SKULL_AT_BIRTH_MM + done * (SKULL_AT_ONE_YEAR_MM - SKULL_AT_BIRTH_MM),
        distance=1.0 - brain,
    )


def infant_proportions(growth: Growth, adult: Proportions) -> Proportions:
    r"""Proportions of the infant that becomes an adult, in the frame of the adult's head.

    The lateral ventricles are tubes of radius $r + 4\,\mathrm{mm}\,(w-1)$, so that their volume
    goes with its square; the widening $w$ follows.
    """
    shift = VENTRICLE_RADIUS_MM / WALL_MM_PER_WIDENING - 1.0
    return replace(
        adult,
        cortex_mm=adult.cortex_mm * growth.cortex,
        ventricles=math.sqrt(growth.ventricles) * (adult.ventricles + shift) - shift,
        skull_mm=growth.skull_mm / growth.size,
    )
