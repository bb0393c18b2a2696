"""Cached readings: each is made again when the table's file has another time or size."""

from pathlib import Path

import pandas as pd
import streamlit as st

from spinforge.evaluation.dashboard import scores
from spinforge.evaluation.dashboard.choices import Choice, chosen_rows
from spinforge.evaluation.dashboard.findings import METRIC, Findings
from spinforge.evaluation.dashboard.findings import findings as findings_of
from spinforge.evaluation.dashboard.parquet_rows import TableFacts, Unit, read_rows, table_facts
from spinforge.evaluation.dashboard.source import StudySource, TrackedRuns
from spinforge.evaluation.report.content import CaseImages
from spinforge.evaluation.robustness.content import Condition, RobustnessContent
from spinforge.simulation.errors import SpinforgeError

Stamp = tuple[str, int, int]
"""Path, time of change [ns] and size [byte] of a file."""

_RUNS_SECONDS = 30


def stamp(path: Path) -> Stamp:
    """What tells one state of a file from another.

    Raises:
        SpinforgeError: If it is gone.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise SpinforgeError(f"{path} cannot be read ({error.strerror}). Run the study") from error
    return str(path), state.st_mtime_ns, state.st_size


@st.cache_data(show_spinner="Reading the table …", max_entries=8)
def facts(of: Stamp) -> TableFacts:
    """What may be chosen."""
    return table_facts(Path(of[0]))


@st.cache_resource(show_spinner="Reading the study …", max_entries=2)
def content(of: Stamp, name: str, _source: StudySource) -> RobustnessContent:
    """The study; the last two stay in memory."""
    return _source.content(name)


@st.cache_resource(show_spinner="Reading the table …", max_entries=6)
def _rows(of: Stamp, unit: Unit, metric: str) -> pd.DataFrame:
    """Of all tissues, which cost no more to read than one; shared, so not to be changed."""
    return read_rows(Path(of[0]), unit, metric=metric)


def _view(of: Stamp, choice: Choice) -> pd.DataFrame:
    return chosen_rows(_rows(of, choice.unit, choice.metric), choice)


@st.cache_data(show_spinner="Averaging …", max_entries=64)
def curve_points(of: Stamp, choice: Choice) -> pd.DataFrame:
    """See `scores.curve_points`; empty without rows."""
    rows = _view(of, choice)
    return rows if rows.empty else scores.curve_points(rows, choice)


@st.cache_data(show_spinner="Averaging …", max_entries=64)
def network_scores(of: Stamp, choice: Choice, baseline: str) -> pd.DataFrame:
    """See `scores.network_scores`; empty without rows."""
    rows = _view(of, choice)
    return rows if rows.empty else scores.network_scores(rows, choice, baseline)


@st.cache_data(show_spinner="Averaging …", max_entries=64)
def degradation_by_transform(of: Stamp, choice: Choice) -> pd.DataFrame:
    """See `scores.degradation_by_transform`."""
    return scores.degradation_by_transform(_view(of, choice), choice)


@st.cache_data(show_spinner="Comparing …", max_entries=64)
def comparisons(of: Stamp, choice: Choice) -> pd.DataFrame:
    """See `scores.comparisons`."""
    return scores.comparisons(_view(of, choice), choice)


@st.cache_data(show_spinner="Testing what can be said …", max_entries=8)
def findings(of: Stamp, unit: Unit, _content: RobustnessContent) -> Findings:
    """See `findings.findings`; seconds for a large study, so once a table."""
    return findings_of(_rows(of, unit, METRIC), _content)


@st.cache_data(show_spinner="Reading cases …", max_entries=128)
def cases(of: Stamp, condition: Condition, metric: str) -> pd.DataFrame:
    """Slices of one network under one corruption, of all classes."""
    rows = _rows(of, "slice", metric)
    for name in ("model", "transform", "severity", "seed", "protocol"):
        rows = rows[rows[name] == getattr(condition, name)]
    return rows


@st.cache_data(show_spinner="Asking for the runs …", ttl=_RUNS_SECONDS, max_entries=8)
def runs(of: Stamp, name: str, _source: StudySource) -> TrackedRuns:
    """Runs of the study; asked for again after half a minute."""
    return _source.runs(name)


@st.cache_data(show_spinner="Asking for a curve …", ttl=_RUNS_SECONDS, max_entries=256)
def learning_curve(
    of: Stamp, name: str, run_id: str, metric: str, _source: StudySource
) -> pd.DataFrame:
    """All values of a metric."""
    return _source.curve(name, run_id, metric)


@st.cache_data(show_spinner="Loading pictures …", max_entries=256)
def case_images(
    of: Stamp, condition: Condition, subject: str, number: int, _content: RobustnessContent
) -> CaseImages:
    """One slice as a network saw it.

    Raises:
        SpinforgeError: If its files are gone or do not have it.
    """
    try:
        return _content.load_case(condition, subject, number)
    except (OSError, LookupError, ValueError) as error:
        raise SpinforgeError(
            f"slice {number} of {subject} cannot be loaded for {condition.model} "
            f"({' '.join(str(error).split())}). Run the study again"
        ) from error
