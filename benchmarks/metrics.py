"""Cost of HD, HD95 and ASSD of 171 label slices, beside MONAI and a plain k-d tree.

    python benchmarks/metrics.py [--repeats 5]

The slices are those of three heads, with four classes: BrainWeb's, if they are found where the
tests look for them, else made of equations. All in CPU time of one thread; each figure is the least
of the repeats, of which MONAI gets two. Ends with exit status 1 if a limit is not met or the three
disagree.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # read when NumPy and PyTorch load

import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.spatial import cKDTree
from timing import best_seconds

from spinforge.evaluation.overlap import confusion_matrices, dice
from spinforge.evaluation.row_hausdorff import row_hausdorff_of_classes
from spinforge.evaluation.score import score_slices
from spinforge.evaluation.surface import boundary, surface_distances

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from label_slices import CLASSES, brainweb_labels, disturbed, procedural_labels
from real_data import BRAINWEB20

PIXEL_MM = (1.0, 1.0)
MOST_OF_TREE = 2.0 / 3.3
"""Ours less than this share of the tree's: 2 ms on a machine on which the tree takes 3.3 ms."""

LEAST_OF_MONAI = 15.0
ROUNDING = 1e-9
PIXELS = (1e-4, 1e-3, 1e-4)
"""Of HD, HD95 and ASSD. MONAI computes in float32, the rank of the percentile too, which it rounds
by up to 3e-5; specks leave gaps of up to 30 px between neighbouring ranks."""

Labels = np.ndarray


def heads() -> tuple[str, Labels]:
    """Slices of three heads, (171, 180, 216), and whose they are."""
    if BRAINWEB20.is_dir():
        names = ("subject04", "subject18", "subject54")
        return "BrainWeb " + ", ".join(names), np.concatenate(
            [brainweb_labels(BRAINWEB20, name) for name in names]
        )
    names = ("head-000", "head-001", "head-002")
    return "procedural " + ", ".join(names), np.concatenate([procedural_labels(n) for n in names])


def ours(predicted: Labels, target: Labels) -> np.ndarray:
    found = surface_distances(predicted, target, spacing_mm=PIXEL_MM, classes=CLASSES)
    return np.stack([found.hausdorff_mm, found.hd95_mm, found.assd_mm])


def plain_tree(predicted: Labels, target: Labels) -> np.ndarray:
    """What one writes first: a tree over the outline of every class, cropped to its box."""
    values = np.full((3, len(target), CLASSES - 1), np.nan)
    for number, code in np.ndindex(len(target), CLASSES - 1):
        pair = predicted[number] == code + 1, target[number] == code + 1
        if pair[0].any() and pair[1].any():
            values[:, number, code] = tree_distances(*pair)
    return values


def tree_distances(predicted: np.ndarray, target: np.ndarray) -> tuple[float, float, float]:
    either = predicted | target
    rows, columns = np.flatnonzero(either.any(axis=1)), np.flatnonzero(either.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    points = [np.argwhere(boundary(region[box])) for region in (predicted, target)]
    options = {"leafsize": 32, "balanced_tree": False, "compact_nodes": False}
    there = cKDTree(points[1], **options).query(points[0])[0]
    back = cKDTree(points[0], **options).query(points[1])[0]
    return (
        max(there.max(), back.max()),
        max(np.percentile(there, 95), np.percentile(back, 95)),
        np.concatenate([there, back]).mean(),
    )


def monai(predicted: torch.Tensor, target: torch.Tensor) -> np.ndarray:
    """Its three calls, of maps that are one-hot already."""
    values = (
        compute_hausdorff_distance(predicted, target),
        compute_hausdorff_distance(predicted, target, percentile=95),
        compute_average_surface_distance(predicted, target, symmetric=True),
    )
    return torch.stack(values).double().numpy()


def one_hot(labels: Labels) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(np.eye(CLASSES, dtype=np.uint8)[labels], -1, 1).copy())


def print_whole_table(predicted: Labels, target: Labels) -> None:
    """What all metrics of the table of scores cost, of three volumes."""
    tens = len(target) // 3
    confidence = np.random.default_rng(0).random(target.shape, dtype=np.float32)

    def table(slice_mm: float | None, calibrated: bool = False) -> None:
        for first in range(0, 3 * tens, tens):
            score_slices(
                predicted[first : first + tens],
                target[first : first + tens],
                spacing_mm=PIXEL_MM,
                slice_mm=slice_mm,
                subject="",
                network="",
                slices=range(tens),
                confidence=confidence[first : first + tens] if calibrated else None,
            )

    def milliseconds(seconds: float) -> str:
        return f"{1e3 * seconds / len(target):6.2f} ms a slice"

    slices, whole = (best_seconds(lambda mm=mm: table(mm)) for mm in (None, 3.0))
    rows = best_seconds(lambda: row_hausdorff_of_classes(predicted, target, classes=CLASSES))
    print(f"all metrics of slices   {milliseconds(slices)}, of which hd_rows {milliseconds(rows)}")
    print(f"distances of volumes    {milliseconds(whole - slices)} more")
    with_ece = best_seconds(lambda: table(None, calibrated=True))
    print(f"calibration             {milliseconds(with_ece - slices)} more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="of ours and the tree's")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="monai")
    warnings.filterwarnings("ignore", message=".*always_return_as_numpy")
    source, target = heads()
    predicted = disturbed(target)
    mean_dice = np.nanmean(dice(confusion_matrices(predicted, target))[:, 1:], axis=0)
    print(f"{len(target)} slices of {target.shape[1:]}, {source}; Dice {mean_dice.round(3)}")
    maps = predicted, target
    hot = one_hot(predicted), one_hot(target)
    seconds = {
        "ours": best_seconds(lambda: ours(*maps), repeats=repeats),
        "plain cKDTree": best_seconds(lambda: plain_tree(*maps), repeats=repeats),
        "MONAI, three calls": best_seconds(lambda: monai(*hot), repeats=2),
    }
    for name, value in seconds.items():
        ratio = value / seconds["ours"]
        print(f"{name:20} {1e3 * value / len(target):7.2f} ms a slice, {ratio:5.1f} x ours")
    print_whole_table(*maps)
    found, tree, theirs = ours(*maps), plain_tree(*maps), monai(*hot)
    both = np.isfinite(tree)
    from_tree = np.abs(found - tree)[both].max()
    from_monai = [
        np.abs(one[b] - other[b]).max() for one, other, b in zip(found, theirs, both, strict=True)
    ]
    checks = [
        (
            f"share of the tree's time {seconds['ours'] / seconds['plain cKDTree']:.2f}, "
            f"limit {MOST_OF_TREE:.2f}",
            seconds["ours"] <= MOST_OF_TREE * seconds["plain cKDTree"],
        ),
        (
            f"faster than MONAI {seconds['MONAI, three calls'] / seconds['ours']:.1f} times, "
            f"limit {LEAST_OF_MONAI:.0f}",
            seconds["MONAI, three calls"] >= LEAST_OF_MONAI * seconds["ours"],
        ),
        (f"largest difference from the tree {from_tree:.0e} px", from_tree <= ROUNDING),
        *(
            (
                f"{name}: largest difference from MONAI {apart:.0e} px, limit {limit:.0e}",
                apart <= limit,
            )
            for name, apart, limit in zip(("HD", "HD95", "ASSD"), from_monai, PIXELS, strict=True)
        ),
    ]
    for text, is_met in checks:
        print(f"{text}: {'met' if is_met else 'NOT MET'}")
    sys.exit(0 if all(is_met for _, is_met in checks) else 1)


if __name__ == "__main__":
    main()
