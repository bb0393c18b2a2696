"""Relaxation of the stand-ins' tissues, where a table of one field and one source is not enough."""

from spinforge.simulation.tissue import Relaxation, Tissue

# GM, WM: Wansapura et al., JMRI 9:531 (1999). Muscle: Stanisz et al., MRM 54:507 (2005). T2* from
# R2'(3 T) = 2 R2'(1.5 T) with BrainWeb's values at 1.5 T (Yablonskiy and Haacke, MRM 32:749, 1994).
# All others are our choice, of the order that surveys of 3 T give; the lesion is between white
# matter and CSF, long enough in T2 to outshine grey matter in FLAIR.
ADULT_3T: dict[Tissue, Relaxation] = {
    Tissue.BACKGROUND: Relaxation(1.0, 1.0, 1.0, 0.0),
    Tissue.CSF: Relaxation(4.3, 2.0, 0.035, 1.0),
    Tissue.GREY_MATTER: Relaxation(1.331, 0.110, 0.072, 0.86),
    Tissue.WHITE_MATTER: Relaxation(0.832, 0.0796, 0.060, 0.77),
    Tissue.FAT: Relaxation(0.380, 0.070, 0.050, 1.0),
    Tissue.MUSCLE: Relaxation(1.412, 0.050, 0.023, 0.9),
    Tissue.MUSCLE_SKIN: Relaxation(1.412, 0.050, 0.023, 0.9),
    Tissue.SKULL: Relaxation(0.350, 0.001, 0.0005, 0.1),
    Tissue.VESSELS: Relaxation(1.650, 0.150, 0.040, 0.85),
    Tissue.AROUND_FAT: Relaxation(0.380, 0.070, 0.050, 0.9),
    Tissue.DURA: Relaxation(1.2, 0.047, 0.023, 0.7),
    Tissue.MARROW: Relaxation(0.380, 0.060, 0.025, 0.8),
    Tissue.LESION: Relaxation(1.35, 0.150, 0.080, 0.85),
}
"""An adult's head at 3 T, white-matter lesions included."""

# Blood and myocardium: the values named in the specification of the cardiac stand-in; the lung is
# air for the most part; liver: de Bazelaire et al., Radiology 230:652 (2004).
CHEST_1P5T: dict[Tissue, Relaxation] = {
    Tissue.BACKGROUND: Relaxation(1.0, 1.0, 1.0, 0.0),
    Tissue.CSF: Relaxation(2.569, 0.329, 0.058, 1.0),
    Tissue.FAT: Relaxation(0.350, 0.070, 0.058, 1.0),
    Tissue.MUSCLE: Relaxation(0.900, 0.047, 0.030, 0.9),
    Tissue.SKULL: Relaxation(0.260, 0.001, 0.0005, 0.1),
    Tissue.MARROW: Relaxation(0.550, 0.050, 0.025, 0.6),
    Tissue.MYOCARDIUM: Relaxation(1.030, 0.045, 0.030, 0.85),
    Tissue.BLOOD: Relaxation(1.550, 0.250, 0.150, 0.95),
    Tissue.LUNG: Relaxation(1.200, 0.041, 0.002, 0.15),
    Tissue.LIVER: Relaxation(0.586, 0.046, 0.025, 0.8),
}
"""A chest at 1.5 T; bone is `SKULL` and its marrow `MARROW`."""
