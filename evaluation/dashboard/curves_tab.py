"""Curves: how scores change with severity."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from spinforge.evaluation.dashboard import charts, reading
from spinforge.evaluation.dashboard.shown import Shown

_COLUMNS = 3


def show(shown: Shown) -> None:
    """One chart a corruption, all on one scale, and their figures as a table."""
    choice = shown.choice
    points = reading.curve_points(shown.stamp, choice)
    if points.empty:
        st.info("The table has no such values. Choose another tissue, metric or protocol.")
        return
    points = _marked(shown, points)
    st.markdown(f"**{choice.in_words}**")
    names = {name: shown.content.networks.get(name, name) for name in choice.networks}
    st.html(charts.legend(names, shown.order))
    limits = charts.curve_limits(points, choice.metric)
    there = [name for name in choice.transforms if name in set(points["transform"])]
    for start in range(0, len(there), _COLUMNS):
        _row(shown, points, there[start : start + _COLUMNS], limits)
    st.caption(
        "Means over cases; bands are 95 % intervals over subjects, of the networks that were "
        "trained (from five seeds on over subjects and seeds, of networks trained anew; none with "
        "fewer than five subjects). Infinite distances are left out and counted "
        "as without a value. Point at a marker for its figures."
    )
    if points["regression"].any():
        st.caption(
            "▼: regression of Dice in the whole study: worse than at a milder level and than at a "
            "stronger one, each shown by a paired test (see Overview)."
        )
    with st.expander("The figures as a table"):
        st.dataframe(_as_table(points), hide_index=True)


def _marked(shown: Shown, points: pd.DataFrame) -> pd.DataFrame:
    """With the column regression; filters change neither what was tested nor what was found."""
    found = reading.findings(shown.stamp, shown.facts.units[0], shown.content).regressions
    own = found[found["protocol"] == shown.choice.protocol]
    keys = ["model", "transform", "severity"]
    there = pd.MultiIndex.from_frame(points[keys]).isin(pd.MultiIndex.from_frame(own[keys]))
    return points.assign(regression=there)


def _row(
    shown: Shown, points: pd.DataFrame, transforms: Sequence[str], limits: tuple[float, float]
) -> None:
    choice = shown.choice
    for column, transform in zip(st.columns(_COLUMNS), transforms, strict=False):
        own = points[points["transform"] == transform]
        with column:
            st.markdown(f"**{transform}**", help=shown.content.transforms.get(transform))
            chart = charts.severity_curves(own, shown.order, choice.metric, limits)
            st.altair_chart(
                chart,
                width="stretch",
                key=f"curve {transform}",
                alt=f"{choice.in_words} against severity of {transform}",
            )


def _as_table(points: pd.DataFrame) -> pd.DataFrame:
    columns = {
        "transform": "corruption",
        "model": "network",
        "severity": "severity",
        "mean": "mean",
        "low": "95 % from",
        "high": "to",
        "clusters": "subjects",
        "cases": "cases",
        "undefined": "without a value",
        "regression": "regression",
    }
    marks = points["regression"].map({True: "▼", False: ""})
    shown = points.assign(regression=marks)[list(columns)]
    return shown.rename(columns=columns).round(4)
