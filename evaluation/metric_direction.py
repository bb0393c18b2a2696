"""Which way is better for each metric, and how far from perfect a value is."""

from collections.abc import Mapping

from spinforge.simulation.errors import SpinforgeError

LARGER_IS_BETTER: Mapping[str, bool] = {
    **dict.fromkeys(
        ("dice", "jaccard", "pixel_accuracy", "mean_pixel_accuracy", "precision", "recall"), True
    ),
    **dict.fromkeys(("surface_dice_1mm", "ssim", "psnr_db"), True),
    **dict.fromkeys(("hausdorff_mm", "hd95_mm", "assd_mm", "hd_rows"), False),
    **dict.fromkeys(("ece", "nrmse"), False),
}
"""By name. Counts of pixels and signed volume differences are not here: neither way is better."""

_WITHOUT_BEST = ("psnr_db",)
"""Larger is better, and no value is the best one."""


def larger_is_better(metric: str, known: Mapping[str, bool] = LARGER_IS_BETTER) -> bool:
    """Whether larger values of a metric are better.

    Args:
        metric: Its name in the table of scores.
        known: What is known of metrics; add your own as `LARGER_IS_BETTER | {"name": True}`.

    Raises:
        SpinforgeError: If it is not known.
    """
    if metric not in known:
        raise SpinforgeError(
            f"whether more is better is not known of the metric {metric!r}: known are "
            f"{', '.join(sorted(known))}. Leave its rows out of the table, or, from Python, give "
            f"larger=LARGER_IS_BETTER | {{{metric!r}: True}} (or False)"
        )
    return known[metric]


def has_error(metric: str, known: Mapping[str, bool] = LARGER_IS_BETTER) -> bool:
    """Whether a value has an error: one less it (Dice), or itself (distances); PSNR has none."""
    larger_is_better(metric, known)
    return metric not in _WITHOUT_BEST
