"""The procedural chest: a heart for segmenting blood and myocardium in bSSFP images.

A stand-in for HVSMR: children with congenital heart disease have dilated right hearts, holes in
the septum and mirrored chests, so the subjects here do.
"""

from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from spinforge.simulation.arrays import LabelVolume
from spinforge.simulation.config import content_hash
from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.block import centred_axes
from spinforge.simulation.phantoms.heart_chambers import heart
from spinforge.simulation.phantoms.heart_chest import chest_layers
from spinforge.simulation.phantoms.heart_subject import (
    draw_heart_subject,
    in_average_chest,
)
from spinforge.simulation.phantoms.layers import paint_layers
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.phantoms.threads import one_thread
from spinforge.simulation.sequences import BalancedSSFP
from spinforge.simulation.tissue import Relaxation, Tissue
from spinforge.simulation.tissue_sets import TISSUE_SETS, Properties

GENERATOR = "heart-1"
"""Version of the anatomy; whatever changes a voxel changes it."""

FIELD_OF_VIEW_MM = (160.0, 160.0, 128.0)
COARSEST_SPACING_MM = 4.0

SMALLEST_POOL_ML = 30.0
"""More than any vein of the liver holds, less than one side of a small heart."""

CHEST_TISSUES = (
    Tissue.BACKGROUND,
    Tissue.CSF,
    Tissue.FAT,
    Tissue.MUSCLE,
    Tissue.SKULL,
    Tissue.MARROW,
    Tissue.MYOCARDIUM,
    Tissue.BLOOD,
    Tissue.LUNG,
    Tissue.LIVER,
)
"""What a chest consists of; `SKULL` stands for all compact bone."""

# Blood and myocardium: customary T1 and T2; liver, lung and all proton densities: our choice.
# T2* is T2, as of all tissues: at TE = TR/2 bSSFP refocuses the reversible dephasing.
CHEST_1P5T: Properties = {
    **{
        tissue: replace(relaxation, t2_star=relaxation.t2)
        for tissue, relaxation in TISSUE_SETS["brainweb_1p5T"].properties.items()
    },
    Tissue.MYOCARDIUM: Relaxation(1.030, 0.045, 0.045, 0.85),
    Tissue.BLOOD: Relaxation(1.550, 0.250, 0.250, 0.95),
    Tissue.LUNG: Relaxation(1.200, 0.041, 0.041, 0.15),
    Tissue.LIVER: Relaxation(0.586, 0.046, 0.046, 0.8),
}
"""BrainWeb's tissues and those of a chest."""

BSSFP = BalancedSSFP(kind="balanced_ssfp", tr_ms=3.4, te_ms=1.7, flip_deg=60.0, variation=0.0)
"""Usual timing and flip angle of a cardiac scan: our choice."""

HEART_TARGETS = ("background", "myocardium", "blood pool")


def generate_heart(subject: str, *, seed: int, spacing_mm: float = 1.0) -> Phantom:
    """Make the chest of one subject.

    Args:
        subject: Name of the subject; every name is another anatomy.
        seed: Seed of the data set.
        spacing_mm: Edge length of the cubic voxels [mm].

    Returns:
        Phantom of 160 x 160 x 128 voxels at 1 mm, the same in any process.

    Raises:
        SpinforgeError: If the voxel size is not positive or too coarse to show a heart's wall.
    """
    if not 0.0 < spacing_mm <= COARSEST_SPACING_MM:
        raise SpinforgeError(
            f"spacing_mm must be above 0 and at most {COARSEST_SPACING_MM} mm, got {spacing_mm}"
        )
    drawn = draw_heart_subject(seed, subject)
    block = in_average_chest(drawn, centred_axes(FIELD_OF_VIEW_MM, (spacing_mm,) * 3))
    with one_thread():
        parts = heart(block, drawn.proportions, drawn.trabeculae.on_grid(block.axes))
        memberships = torch.zeros((len(CHEST_TISSUES), *block.x.shape))
        layers = chest_layers(block, parts, drawn)
        paint_layers(memberships, torch.ones_like(block.x), layers, CHEST_TISSUES)
    if drawn.proportions.mirrored:
        memberships = memberships.flip(1)
    return Phantom(
        subject=subject,
        memberships=memberships,
        spacing_mm=spacing_mm,
        source="procedural heart",
        digest=heart_digest(subject, seed=seed, spacing_mm=spacing_mm),
        parameters=drawn.parameters,
        tissues=CHEST_TISSUES,
    )


def heart_digest(subject: str, *, seed: int, spacing_mm: float = 1.0) -> str:
    """Digest of the phantom that `generate_heart` makes, without making it."""
    return content_hash(
        {
            "generator": GENERATOR,
            "seed": seed,
            "subject": subject,
            "spacing_mm": float(spacing_mm),
        }
    )


def heart_labels(phantom: Phantom) -> LabelVolume:
    """Segmentation target: 0 background, 1 myocardium, 2 blood pool, (x, y, z) uint8.

    The blood pool is that of the heart and the great vessels joined to it, without the vessels
    of lungs and liver; left and right heart may be apart.
    """
    tissues = phantom.labels
    blood = (tissues == Tissue.BLOOD).numpy()
    components, count = ndimage.label(blood)
    volumes_ml = np.bincount(components.ravel(), minlength=count + 1) * phantom.spacing_mm**3 / 1e3
    is_pool = volumes_ml > SMALLEST_POOL_ML
    is_pool[0] = False
    labels = torch.zeros_like(tissues)
    labels[tissues == Tissue.MYOCARDIUM] = 1
    labels[torch.from_numpy(is_pool[components])] = 2
    return labels


def heart_image(phantom: Phantom) -> Volume:
    """Noise-free bSSFP image at 1.5 T, (x, y, z), in units of the proton density."""
    signals = nominal_amplitudes(BSSFP, CHEST_1P5T, phantom.tissues).real.float()
    return torch.einsum("t,txyz->xyz", signals, phantom.memberships)
