"""Runs: what was tracked while the networks were trained."""

import pandas as pd
import streamlit as st

from spinforge.evaluation.dashboard import charts, reading
from spinforge.evaluation.dashboard.shown import Shown
from spinforge.evaluation.dashboard.source import TrackedRun
from spinforge.simulation.errors import SpinforgeError

_MOST_CURVES = 12
_PREFERRED = "validation_dice_pooled"


def show(shown: Shown) -> None:
    """Table of the runs, filtered by text, and learning curves of one metric."""
    found = reading.runs(shown.stamp, shown.name, shown.source)
    st.caption(f"Recorded in {found.place}")
    if found.message:
        st.warning(found.message)
    if not found.runs:
        return
    text = st.text_input(
        "Filter", placeholder="name, id, status, or parameter such as kind=unet", key="run filter"
    )
    runs = [run for run in found.runs if _matches(run, text)]
    if not runs:
        st.info(f"No run has {text!r}.")
        return
    st.dataframe(_as_table(runs), hide_index=True, key="runs", placeholder="-")
    _curves(shown, [run for run in runs if run.parent])


def _matches(run: TrackedRun, text: str) -> bool:
    """Whether every word is in the run."""
    said = [run.run_id, run.name, run.status, *(f"{k}={v}" for k, v in run.parameters.items())]
    return all(any(word in one.lower() for one in said) for word in text.lower().split())


def _as_table(runs: list[TrackedRun]) -> pd.DataFrame:
    """One row a run; columns that are empty for all are left out."""
    rows = [
        {
            "run": run.name,
            "of": "network" if run.parent else "study",
            "status": run.status,
            "started": run.started,
            "id": run.run_id,
        }
        | {name: round(value, 4) for name, value in run.metrics.items()}
        | {name: value for name, value in run.parameters.items() if name not in run.metrics}
        for run in runs
    ]
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def _curves(shown: Shown, runs: list[TrackedRun]) -> None:
    metrics = sorted({name for run in runs for name in run.metrics if "system/" not in name})
    if not metrics:
        return
    st.subheader("Learning curves")
    try:
        first = _first_metric(shown, runs, metrics)
        metric = st.selectbox("Metric", metrics, index=metrics.index(first), key="run metric")
        drawn = [run for run in runs if metric in run.metrics][:_MOST_CURVES]
        curves = [
            _curve(shown, run, metric).assign(run=_words(run), network=run.name) for run in drawn
        ]
    except SpinforgeError as error:
        st.warning(str(error))
        return
    names = list(dict.fromkeys(run.name for run in drawn))
    # Colours as on the other tabs; those of networks without scores come after all others.
    order = [*shown.order, *(name for name in names if name not in shown.order)]
    st.html(charts.legend({name: name for name in names}, order, markers=False))
    chart = charts.learning_curve(pd.concat(curves, ignore_index=True), order, metric)
    st.altair_chart(chart, width="stretch", key="learning curve", alt=f"{metric} against the step")
    if len(drawn) > len(names):
        st.caption("A line a run: those of one network look alike; point at one for its run.")
    if len(drawn) == _MOST_CURVES:
        st.caption(f"The first {_MOST_CURVES} runs; filter to see others.")


def _first_metric(shown: Shown, runs: list[TrackedRun], metrics: list[str]) -> str:
    """One that was recorded more than once: a single point is no curve."""
    wanted = sorted(metrics, key=lambda name: name != _PREFERRED)
    for metric in wanted:
        run = next(run for run in runs if metric in run.metrics)
        if len(_curve(shown, run, metric)) > 1:
            return metric
    return wanted[0]


def _curve(shown: Shown, run: TrackedRun, metric: str) -> pd.DataFrame:
    return reading.learning_curve(shown.stamp, shown.name, run.run_id, metric, shown.source)


def _words(run: TrackedRun) -> str:
    """Its seed, if that was recorded, and the begin of its id."""
    seed = run.parameters.get("seed")
    return f"seed {seed} ({run.run_id[:6]})" if seed else run.run_id[:6]
