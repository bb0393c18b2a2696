"""Relaxation times and proton densities of the tissues, one table a source and field."""

from spinforge.simulation.tissue import Relaxation, Tissue

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
