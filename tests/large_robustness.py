"""The table of a large robustness study, by formula: nothing is segmented."""

import numpy as np
import pandas as pd
from planted_robustness import planted_content

from spinforge.evaluation.report.content import CaseImages
from spinforge.evaluation.robustness.content import Condition, RobustnessContent
from spinforge.evaluation.robustness.long_table import CLEAN, TRAINED_CLEAN

TISSUES = ("CSF", "GM", "WM")
SHAPE = (181, 217)
"""Pixels of a slice; as of BrainWeb."""


def large_content(
    networks: int = 8, transforms: int = 15, levels: int = 5, subjects: int = 3, slices: int = 57
) -> RobustnessContent:
    """A study of that size, with noisy pictures, which hardly compress."""
    names = [f"network {number}" for number in range(networks)]
    corruptions = [f"corruption {number:02d}" for number in range(transforms)]
    return planted_content(
        table=large_table(names, corruptions, levels, subjects, slices),
        networks={name: f"{name}, by formula" for name in names},
        transforms={name: "a chain of something" for name in corruptions},
        strengths={
            (name, level): f"{2 * level} %"
            for name in corruptions
            for level in range(1, levels + 1)
        },
        baseline=names[0],
        load_case=noisy_case,
        runs={},
    )


def large_table(
    names: list[str], corruptions: list[str], levels: int, subjects: int, slices: int
) -> pd.DataFrame:
    """Dice falls with severity, the faster the later the network is named."""
    clean = [(CLEAN, 0)]
    conditions = clean + [(name, level) for name in corruptions for level in range(1, levels + 1)]
    shape = (len(names), len(conditions), subjects, slices, len(TISSUES))
    network, condition, subject, number, tissue = np.indices(shape).reshape(5, -1)
    transform = np.array([name for name, _ in conditions])[condition]
    severity = np.array([level for _, level in conditions])[condition]
    rng = np.random.default_rng(0)
    fall = 0.002 * network * severity * (1 + condition % 5)
    dice = np.clip(0.95 - fall - 0.01 * tissue + 0.02 * rng.standard_normal(len(fall)), 0, 1)
    missed = rng.random(len(fall)) < 0.01
    keys = {
        "model": np.array(names)[network],
        "task": "heads",
        "protocol": TRAINED_CLEAN,
        "seed": 0,
        "transform": transform,
        "severity": severity,
        "subject": np.array([f"subject {k:02d}" for k in range(subjects)])[subject],
        "slice": number,
        "class": np.array(TISSUES)[tissue],
    }
    values = {
        "dice": np.where(missed, 0.0, dice),
        "hd95_mm": np.where(missed, np.inf, 20 * (1 - dice)),
        "true_pixels": np.full(len(fall), 100.0),
        "predicted_pixels": np.where(missed, 0.0, 100.0),
    }
    tables = [pd.DataFrame({**keys, "metric": name, "value": v}) for name, v in values.items()]
    return pd.concat(tables, ignore_index=True)


def noisy_case(condition: Condition, subject: str, number: int) -> CaseImages:
    rng = np.random.default_rng([condition.severity, number])
    target = np.zeros(SHAPE, dtype=np.uint8)
    target[40:140, 40:170], target[55:125, 60:150], target[70:110, 80:130] = 1, 2, 3
    image = np.abs(target / 3 + 0.1 * rng.standard_normal(SHAPE)).astype(np.float32)
    wrong = rng.random(SHAPE) < 0.05
    found = np.where(wrong, (target + 1) % 4, target).astype(np.uint8)
    return CaseImages(image, target, {condition.model: found})
