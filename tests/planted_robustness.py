"""A robustness study whose outcome is known, without any training.

Three networks answer with the true labels, disturbed by a known rule:

- `steady` mislabels 2 % of the pixels, whatever the corruption;
- `fading` mislabels 3 % more with every level of `noise`, else 2 %;
- `broken` is `steady` again, but at level 3 of `motion` its labels are shifted by one pixel.
"""

import functools

import numpy as np
import pandas as pd

from spinforge.evaluation.report.content import CaseImages
from spinforge.evaluation.robustness.content import Condition, RobustnessContent
from spinforge.evaluation.robustness.long_table import (
    CLEAN,
    RETRAINED,
    TRAINED_CLEAN,
    joined,
    long_table_of_scores,
)
from spinforge.evaluation.score import score_slices

NETWORKS = ("steady", "fading", "broken")
TRANSFORMS = ("noise", "inu", "motion")
LEVELS = (1, 2, 3, 4, 5)
CLASSES = ("background", "CSF", "GM", "WM")
REGRESSION = ("broken", "motion", 3)
"""Network, transform and severity at which labels are shifted by a pixel."""

SIZE, SLICES, SHARE, FADING = 48, 5, 0.02, 0.03


def true_labels(subject: int, number: int) -> np.ndarray:
    """Three nested ellipses that grow with the slice and differ between subjects, (ky, kx)."""
    ky, kx = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    radius = np.hypot(ky / (1 + 0.05 * subject), kx) - number
    return (3 - np.digitize(radius, [7, 12, 17])).astype(np.uint8)


def answer(condition: Condition, subject: int, number: int) -> np.ndarray:
    """What a network makes of a slice."""
    labels = true_labels(subject, number)
    share = SHARE
    if condition.model == "fading" and condition.transform == "noise":
        share += FADING * condition.severity
    where = (condition.model, condition.transform, condition.severity)
    if where == REGRESSION:
        labels = np.roll(labels, 1, axis=0)
    key = [condition.seed, condition.severity, subject, number, len(condition.protocol)]
    rng = np.random.default_rng([*key, *map(ord, condition.model + condition.transform)])
    wrong = rng.random(labels.shape) < share
    return np.where(wrong, (labels + 1) % 4, labels).astype(np.uint8)


def load_case(condition: Condition, subject: str, number: int) -> CaseImages:
    """The slice as the network saw it, with its labels."""
    target = true_labels(int(subject[-1]), number)
    rng = np.random.default_rng([condition.severity, number])
    noise = 0.06 * (1 + condition.severity) * rng.standard_normal(target.shape)
    image = np.abs(target / 3 + noise).astype(np.float32)
    found = answer(condition, int(subject[-1]), number)
    return CaseImages(image, target, {condition.model: found})


def conditions(seeds=(0, 1), protocols=(TRAINED_CLEAN,)) -> list[Condition]:
    """Every network, seed and corruption."""
    strengths = [(CLEAN, 0), *((name, level) for name in TRANSFORMS for level in LEVELS)]
    return [
        Condition(model, transform, level, seed, protocol)
        for model in NETWORKS
        for seed in seeds
        for protocol in protocols
        for transform, level in strengths
    ]


@functools.cache
def planted_table(subjects: int = 6, seeds=(0, 1), protocols=(TRAINED_CLEAN,)) -> pd.DataFrame:
    """The long table."""
    return joined(
        _scores(condition, subjects) for condition in conditions(tuple(seeds), tuple(protocols))
    )


def _scores(condition: Condition, subjects: int) -> pd.DataFrame:
    scores = [
        score_slices(
            np.stack([answer(condition, subject, number) for number in range(SLICES)]),
            np.stack([true_labels(subject, number) for number in range(SLICES)]),
            spacing_mm=(1.0, 1.0),
            slice_mm=3.0,
            subject=f"head-{subject}",
            network=condition.model,
            slices=range(SLICES),
            classes=CLASSES,
        )
        for subject in range(subjects)
    ]
    return long_table_of_scores(
        pd.concat(scores, ignore_index=True),
        task="ellipses",
        transform=condition.transform,
        severity=condition.severity,
        seed=condition.seed,
        protocol=condition.protocol,
    )


def planted_content(*, both_protocols: bool = False, **changes) -> RobustnessContent:
    """The whole study."""
    protocols = (TRAINED_CLEAN, RETRAINED) if both_protocols else (TRAINED_CLEAN,)
    content = {
        "name": "planted",
        "created": "1 January 2026, 12:00 UTC",
        "strengths": {(t, level): f"level {level}" for t in TRANSFORMS for level in LEVELS},
        "transforms": {
            "noise": "complex noise",
            "inu": "intensity non-uniformity",
            "motion": "rigid motion between lines",
        },
        "networks": {name: f"{name}, a planted answer" for name in NETWORKS},
        "baseline": "steady",
        "classes": CLASSES,
        "load_case": load_case,
        "seen": "Image",
        "axes": "Ellipses have no sides.",
        "configuration": "name: planted\nseed: 0\n",
        "provenance": {"content sha256": "0" * 64, "versions": "spinforge 0, torch 0"},
        "runs": {
            (name, seed): f"http://127.0.0.1:5000/#/experiments/1/runs/{name}{seed}"
            for name in NETWORKS
            for seed in (0, 1)
        },
        "files": {"long table (CSV)": "robustness/robustness.csv"},
    }
    if "table" not in changes:  # which takes seconds to make
        content["table"] = planted_table(protocols=protocols)
    return RobustnessContent(**(content | changes))
