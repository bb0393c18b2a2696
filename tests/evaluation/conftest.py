"""A small, complete report with names that try to break out of the page."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinforge.evaluation.report.content import (
    CaseImages,
    ExampleSlice,
    NetworkReport,
    ReportContent,
)
from spinforge.evaluation.report.page import write_report
from spinforge.evaluation.score import score_slices
from spinforge.simulation.tissue import TARGET_NAMES

SHAPE = (24, 18)
NETWORKS = ["<script>alert('net')</script>", 'good & $\\frac$ "net" --> \\1']
SUBJECTS = ["<b>05</b>", "38"]
N_SLICES = 5


def target_slice(slice_: int) -> np.ndarray:
    """Three squares; slice 0 is empty."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    if slice_ > 0:
        for code in (1, 2, 3):
            labels[6:14, 6 * code - 6 : 6 * code - 1] = code
    return labels


def predicted_slice(network: int, subject: int, slice_: int) -> np.ndarray:
    """The target moved by one pixel or more along ky, so that every slice has a rank.

    The first network invents tissue in the empty slice and misses all of slice 3 of the second
    subject.
    """
    if network == 0 and slice_ == 0:
        return target_slice(1)
    if network == 0 and (subject, slice_) == (1, 3):
        return np.zeros(SHAPE, dtype=np.uint8)
    return np.roll(target_slice(slice_), 2 * ((slice_ + subject) % 3) + subject + 1, axis=0)


def load_case(subject: str, slice_: int) -> CaseImages:
    target = target_slice(slice_)
    predictions = {
        name: predicted_slice(number, SUBJECTS.index(subject), slice_)
        for number, name in enumerate(NETWORKS)
    }
    image = target.astype(np.float32) + 0.1
    return CaseImages(image=image, target=target, predictions=predictions)


def scores() -> pd.DataFrame:
    target = np.stack([target_slice(slice_) for slice_ in range(N_SLICES)])
    tables = [
        score_slices(
            np.stack([predicted_slice(number, s, slice_) for slice_ in range(N_SLICES)]),
            target,
            spacing_mm=(1.0, 2.0),
            subject=subject,
            network=name,
            slices=range(N_SLICES),
        )
        for number, name in enumerate(NETWORKS)
        for s, subject in enumerate(SUBJECTS)
    ]
    return pd.concat(tables, ignore_index=True)


def history(epochs: int) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": 1.0 / epoch,
            "validation_loss": 1.2 / epoch,
            "validation_dice_pooled": 1 - 0.6 / epoch,
            "learning_rate": 1e-4,
            "seconds": 12.5,
        }
    )


def content(**changes) -> ReportContent:
    images = load_case("38", 2)
    mask = np.arange(SHAPE[0]) % 3 == 0
    example = ExampleSlice(
        images.image, images.target, images.image, mask, "Subject <i>05</i>, slice 2"
    )
    fields = {
        "title": "Study <one>",
        "created": "2025-01-02 03:04 UTC",
        "data_card": {"Source <s>": {"Anatomy <k>": "BrainWeb <v>"}},
        "examples": [example],
        "networks": [
            NetworkReport(NETWORKS[0], "First <desc>", 1234567, history(5), 4),
            NetworkReport(NETWORKS[1], "Second", 10, history(0), 1),
        ],
        "scores": scores(),
        "load_case": load_case,
        "configuration": "kind: <study>\n",
        "provenance": {"commit <c>": "abc <d>"},
        "files": {"Cases <f>": "cases #1.csv"},
        "classes": TARGET_NAMES,
        "seen": "Zero-filled image",
        "axes": "Anterior is up.",
    }
    return ReportContent(**(fields | changes))


@pytest.fixture(scope="session")
def make_content() -> Callable[..., ReportContent]:
    """Builds the content; keywords replace its fields."""
    return content


@pytest.fixture(scope="session")
def page(tmp_path_factory) -> str:
    """The whole report as text."""
    path: Path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    write_report(content(), path)
    return path.read_text(encoding="utf-8")
