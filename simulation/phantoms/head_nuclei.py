"""Deep structures: ventricles, deep grey nuclei and the large vessels around the brain."""

import torch

from spinforge.simulation.phantoms.block import Block
from spinforge.simulation.phantoms.random_fields import Volume
from spinforge.simulation.phantoms.shapes import coverage, ellipsoid, tube, union


def ventricles(block: Block, relief: Volume, widening: float) -> Volume:
    """Lateral, third and fourth ventricle and the aqueduct between the last two.

    Args:
        block: Where to evaluate.
        relief: Unit-variance bumps of the walls.
        widening: 1 on average; every 0.1 moves the walls of the lateral ventricles by 0.4 mm.
    """
    sides = block.mirrored
    body = [
        (12, 32, 0),
        (9, 22, 9),
        (9, 6, 18),
        (12, -12, 21),
        (17, -28, 19),
        (25, -42, 10),
        (24, -60, 6),
    ]
    lateral = tube(sides, body, [2.6, 4.6, 4, 3.8, 4.6, 6.6, 2], squeeze=(0.95, 1, 1))
    temporal_horn = tube(
        sides,
        [(26, -42, 9), (34, -36, -4), (36, -22, -14), (32, -8, -18)],
        [5, 2.8, 2.2, 1.8],
    )
    lateral = union(lateral, temporal_horn) + (1.3 + 0.5 * relief) + 4.0 * (widening - 1.0)
    third = ellipsoid(block, (0, -11, -2), (2.4 * widening, 15, 11))
    fourth = ellipsoid(block, (0, -44, -34), (7, 5, 8))
    aqueduct = tube(block, [(0, -30, -6), (0, -36, -18), (0, -42, -30)], [1.1, 1.1, 1.6])
    return union(lateral, third, fourth, aqueduct)


def deep_grey_fraction(block: Block, relief: Volume) -> Volume:
    """Share of grey matter in the white matter of the core, of the stem and the cerebellum."""
    sides = block.mirrored
    nuclei = union(
        _caudate(sides),
        _thalamus(sides),
        _putamen(sides),
        _hippocampus(sides),
        ellipsoid(sides, (23, -2, -19), (8, 8, 8)),  # amygdala
        _accumbens(sides),
        ellipsoid(sides, (4, -4, -9), (5, 6, 5)),  # hypothalamus
        _claustrum(sides),
    )
    pallidum = _pallidum(sides)
    nigra = ellipsoid(sides, (9, -18, -12), (4, 6, 3))
    dentate = ellipsoid(sides, (15, -56, -34), (6, 5, 4))
    white = 1.0 - _blurred(nuclei + 0.35 * relief, block, 1.3)
    white *= 1.0 - 0.5 * _blurred(pallidum, block, 1.5)
    white *= 1.0 - 0.6 * _blurred(union(nigra, dentate), block, 2.0)
    return 1.0 - white


def basal_ganglia(block: Block) -> Volume:
    """Distance inside the nuclei that atlases count as basal ganglia, the thalamus included."""
    sides = block.mirrored
    striatum = union(_caudate(sides), _putamen(sides), _accumbens(sides))
    return union(striatum, _thalamus(sides), _pallidum(sides))


def _blurred(inside: Volume, block: Block, width_mm: float) -> Volume:
    """Coverage with an edge at least a voxel wide."""
    return coverage(inside, max(width_mm, block.spacing_mm))


def _thalamus(sides: Block) -> Volume:
    return ellipsoid(sides, (12, -19, 6), (9, 14.5, 9.5), tilt=-0.2)


def _putamen(sides: Block) -> Volume:
    return ellipsoid(sides, (27, 1, 0), (5.6, 16, 9.5), tilt=0.1)


def _pallidum(sides: Block) -> Volume:
    return ellipsoid(sides, (20, -5, -1), (4.6, 8.5, 5.6))


def _accumbens(sides: Block) -> Volume:
    return ellipsoid(sides, (9, 11, -7), (5, 6, 4))


def _caudate(sides: Block) -> Volume:
    """Head, body and tail along the lateral ventricle."""
    path = [(12, 20, -2), (14, 16, 6), (16, 4, 15), (19, -14, 20), (28, -32, 14)]
    return tube(sides, path, [6, 6.5, 4.2, 2.6, 1.6])


def _hippocampus(sides: Block) -> Volume:
    """From its head beside the amygdala back around the midbrain."""
    path = [(22, -8, -19), (28, -20, -16), (31, -32, -7), (24, -40, 2)]
    return tube(sides, path, [6, 5.2, 4.2, 2.6])


def _claustrum(sides: Block) -> Volume:
    """A curved sheet, 1.8 mm thick, lateral to the putamen."""
    from_sheet = (sides.x - 34.5 - 0.004 * (sides.y - 2.0) ** 2).abs_()
    return torch.minimum(0.9 - from_sheet, ellipsoid(sides, (34, 0, 2), (8, 18, 14)))


def vessels(block: Block) -> Volume:
    """Dural sinuses and the arteries of the circle of Willis."""
    sides = block.mirrored
    sagittal_sinus = tube(
        block,
        [
            (0, 60, 22),
            (0, 45, 55),
            (0, 15, 76),
            (0, -25, 80),
            (0, -65, 66),
            (0, -98, 32),
            (0, -108, 8),
        ],
        [1.2, 2, 2.6, 3.2, 3.6, 4.2, 4.2],
    )
    transverse_sinus = tube(
        sides,
        [(0, -106, 4), (28, -96, -10), (52, -70, -18), (58, -50, -22), (50, -40, -34)],
        [4, 3.6, 3.8, 4, 4],
    )
    middle_cerebral = tube(
        sides, [(7, 0, -16), (14, 3, -14), (26, 4, -13), (38, 2, -8)], [1.7, 1.6, 1.3, 1]
    )
    anterior_cerebral = tube(
        sides, [(6, 2, -15), (3, 14, -10), (2, 28, -4), (2, 34, 10)], [1.3, 1.1, 1, 0.8]
    )
    basilar = tube(block, [(0, -16, -16), (0, -14, -30), (0, -22, -46)], [1.6, 1.7, 1.5])
    return union(sagittal_sinus, transverse_sinus, middle_cerebral, anterior_cerebral, basilar)
