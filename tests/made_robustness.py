"""Robustness studies of a few numbers, each chosen."""

import pandas as pd
from planted_robustness import planted_content

from spinforge.evaluation.robustness.content import RobustnessContent
from spinforge.evaluation.robustness.long_table import CLEAN, COLUMNS, TRAINED_CLEAN


def made_study(curves, *, baseline=None, metric="dice") -> RobustnessContent:
    """{model: {transform: {subject: [clean, severity 1, ...]}}}, as one volume of each subject."""
    rows = [
        (model, "heads", TRAINED_CLEAN, 0, transform if severity else CLEAN, severity, subject,
         -1, "all", metric, value)
        for model, transforms in curves.items()
        for transform, subjects in transforms.items()
        for subject, curve in subjects.items()
        for severity, value in enumerate(curve)
    ]  # fmt: skip
    names = dict.fromkeys(name for transforms in curves.values() for name in transforms)
    return planted_content(
        table=pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(COLUMNS[:-1]),
        networks=dict.fromkeys(curves, ""),
        transforms=dict.fromkeys(names, ""),
        strengths={},
        baseline=baseline or next(iter(curves)),
        runs={},
    )


def alike(curve, subjects=12, *, spread=0.0):
    """The same curve for all, but severity s of subject k is (-1)^(s + k) spread (k + 1) off."""
    return {
        f"head-{k:02d}": [
            value + (-1) ** (severity + k) * spread * (k + 1) if severity else value
            for severity, value in enumerate(curve)
        ]
        for k in range(subjects)
    }
