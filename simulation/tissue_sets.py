"""Relaxation times and proton densities of the tissues: one table a source and field strength."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spinforge.simulation.rng import SampleRng
from spinforge.simulation.tissue import FAT_TISSUES, Relaxation, Tissue

TissueSetName = Literal["brainweb_1p5T", "mrilab_3T", "literature_3T"]
Properties = Mapping[Tissue, Relaxation]


@dataclass(frozen=True)
class TissueSet:
    """One table.

    Attributes:
        name: Name in study files.
        field_t: Field strength it holds for [T].
        properties: Relaxation of every tissue it knows.
    """

    name: TissueSetName
    field_t: float
    properties: Properties


# BrainWeb's tissue_mr_parameters.txt (31 July 1996, 1.5 T) gives CSF, GM, WM, fat, muscle/skin,
# skin (as CSF), connective tissue (as WM) and the MS lesion. The twenty models have classes it does
# not list; those are our choice: muscle like muscle/skin, vessels with the values of STANCE's
# BrainWeb table, fat-like classes at 0.9 proton density, dura as dense connective tissue, skull as
# a solid whose T2 leaves nothing.
_BRAINWEB_1P5T: Properties = {
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
    Tissue.LESION: Relaxation(0.752, 0.237, 0.204, 0.76),
    Tissue.SKIN: Relaxation(2.569, 0.329, 0.058, 1.0),
    Tissue.CONNECTIVE: Relaxation(0.500, 0.070, 0.061, 0.77),
}

# Exponents b of T1(B0) = T1(1.5 T) (B0 / 1.5 T)^b. Brain: Rooney et al., Magn Reson Med 57:308
# (2007). Muscle and fat: Bottomley et al., Med Phys 11:425 (1984). Free water: none.
_T1_EXPONENT_MUSCLE, _T1_EXPONENT_FAT = 0.4203, 0.1743
_T1_EXPONENTS: Mapping[Tissue, float] = {
    Tissue.BACKGROUND: 0.0,
    Tissue.CSF: 0.0,
    Tissue.GREY_MATTER: 0.376,
    Tissue.WHITE_MATTER: 0.382,
    Tissue.LESION: 0.376,
    **dict.fromkeys(FAT_TISSUES, _T1_EXPONENT_FAT),
}


def scaled_to_field(properties: Properties, from_t: float, to_t: float) -> dict[Tissue, Relaxation]:
    """Relaxation at another field strength.

    T1 follows a power law, T2 is left alone, and the reversible rate R2' = 1/T2* - 1/T2 grows
    with the field, as static dephasing does (Yablonskiy and Haacke, Magn Reson Med 32:749, 1994).

    Args:
        properties: Relaxation at `from_t`.
        from_t: Field strength they hold for [T].
        to_t: Field strength wanted [T].
    """
    ratio = to_t / from_t
    return {
        tissue: replace(
            relaxation,
            t1=relaxation.t1 * ratio ** _T1_EXPONENTS.get(tissue, _T1_EXPONENT_MUSCLE),
            t2_star=1 / (1 / relaxation.t2 + relaxation.r2_prime * ratio),
        )
        for tissue, relaxation in properties.items()
    }


_BRAINWEB_AT_3T = scaled_to_field(_BRAINWEB_1P5T, 1.5, 3.0)

# MRiLab's MakePhantom3.m and its phantom parameter table, with its fat object. What it does not
# list is BrainWeb's value scaled to 3 T.
_MRILAB_3T: Properties = {
    **_BRAINWEB_AT_3T,
    Tissue.CSF: Relaxation(4.500, 2.200, 1.100, 1.0),
    Tissue.GREY_MATTER: Relaxation(0.950, 0.100, 0.050, 0.8),
    Tissue.WHITE_MATTER: Relaxation(0.600, 0.080, 0.040, 0.65),
    Tissue.FAT: Relaxation(0.330, 0.130, 0.026, 1.0),
    Tissue.MUSCLE: Relaxation(1.100, 0.035, 0.0175, 0.7),
    Tissue.MUSCLE_SKIN: Relaxation(1.100, 0.035, 0.0175, 0.7),
    Tissue.SKULL: Relaxation(0.100, 0.010, 0.005, 0.05),
    Tissue.SKIN: Relaxation(0.300, 0.030, 0.015, 0.6),
    Tissue.CONNECTIVE: Relaxation(1.000, 0.042, 0.021, 0.75),
}


def _measured_at_3t(tissue: Tissue, t1: float, t2: float) -> Relaxation:
    """T1 and T2 from the literature; proton density and R2' from BrainWeb, scaled."""
    scaled = _BRAINWEB_AT_3T[tissue]
    return Relaxation(t1, t2, 1 / (1 / t2 + scaled.r2_prime), scaled.proton_density)


# GM and WM: Wansapura et al., J Magn Reson Imaging 9:531 (1999). Muscle: Stanisz et al., Magn
# Reson Med 54:507 (2005), in vitro. CSF, fat and blood are customary round values without one
# source.
_LITERATURE_3T: Properties = {
    **_BRAINWEB_AT_3T,
    Tissue.CSF: _measured_at_3t(Tissue.CSF, 4.300, 2.000),
    Tissue.GREY_MATTER: _measured_at_3t(Tissue.GREY_MATTER, 1.331, 0.110),
    Tissue.WHITE_MATTER: _measured_at_3t(Tissue.WHITE_MATTER, 0.832, 0.0796),
    Tissue.MUSCLE: _measured_at_3t(Tissue.MUSCLE, 1.412, 0.050),
    Tissue.MUSCLE_SKIN: _measured_at_3t(Tissue.MUSCLE_SKIN, 1.412, 0.050),
    Tissue.FAT: _measured_at_3t(Tissue.FAT, 0.380, 0.070),
    Tissue.VESSELS: _measured_at_3t(Tissue.VESSELS, 1.650, 0.275),
}

TISSUE_SETS: Mapping[TissueSetName, TissueSet] = {
    "brainweb_1p5T": TissueSet("brainweb_1p5T", 1.5, _BRAINWEB_1P5T),
    "mrilab_3T": TissueSet("mrilab_3T", 3.0, _MRILAB_3T),
    "literature_3T": TissueSet("literature_3T", 3.0, _LITERATURE_3T),
}

# Standard deviations of the logarithm of T1, T2, T2* and proton density between subjects: our
# choice.
_SPREAD = (0.04, 0.04, 0.06, 0.02)
_CLIP_SD = 2.0

Factors = tuple[float, float, float, float]


def draw_tissue_factors(
    rng: SampleRng, tissues: tuple[Tissue, ...], variability: float
) -> dict[Tissue, Factors]:
    """Draw what multiplies T1, T2, T2* and proton density of each tissue of one subject.

    Args:
        rng: Random numbers of this subject's tissues.
        tissues: Drawn in this order.
        variability: Multiplies the spread; 0 draws ones.

    Returns:
        exp(s n) with n standard normal, clipped at two standard deviations.
    """
    normals = rng.normals(len(tissues), len(_SPREAD)).clip(-_CLIP_SD, _CLIP_SD)
    drawn = np.exp(variability * np.array(_SPREAD) * normals)
    return {
        tissue: (float(row[0]), float(row[1]), float(row[2]), float(row[3]))
        for tissue, row in zip(tissues, drawn, strict=True)
    }


def with_factors(properties: Properties, factors: Mapping[Tissue, Factors]) -> Properties:
    """Multiply T1, T2, T2* and proton density; T2* never exceeds T2."""
    varied = dict(properties)
    for tissue, (t1, t2, t2_star, proton_density) in factors.items():
        mean = properties[tissue]
        varied[tissue] = Relaxation(
            t1=mean.t1 * t1,
            t2=mean.t2 * t2,
            t2_star=min(mean.t2_star * t2_star, mean.t2 * t2),
            proton_density=mean.proton_density * proton_density,
        )
    return varied
