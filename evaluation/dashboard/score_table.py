"""The table of scores that two tabs show."""

import numpy as np
import pandas as pd
import streamlit as st

from spinforge.evaluation.dashboard.choices import metric_name

NOTE = (
    "Degradation: how far the score falls from clean images over the severities, mild ones "
    "weighing most (ROOD-MRI, weight 2/3 a level); smaller is better. Every subject counts once. "
    "Intervals: 95 %, bootstrap over subjects, of the networks that were trained; from five seeds "
    "on over subjects and seeds, of networks trained anew; none with fewer than five subjects. "
    "mCE: errors in percent of the baseline's; smaller is better. Relative mCE compares what "
    "corruption adds; there is none where the baseline is not shown to get worse."
)


def score_table(scores: pd.DataFrame, metric: str) -> None:
    """Show what `network_scores` found, as text so that it reads the same everywhere."""
    if scores.empty:
        st.info("The table has no such values. Choose another tissue or metric.")
        return
    name = metric_name(metric)
    shown = pd.DataFrame(
        {
            "network": scores["model"],
            "degradation": scores["degradation"].map(_three),
            "95 % interval": [
                f"{_three(low)} to {_three(high)}" if np.isfinite(low) else "none"
                for low, high in zip(scores["low"], scores["high"], strict=True)
            ],
            f"{name}, clean": scores["clean"].map(_three),
            f"{name}, overall": scores["overall"].map(_three),
            "mCE": scores["mce"].map(_percent),
            "relative mCE": scores["relative_mce"].map(_percent),
            "cases": scores["cases"],
            "without a value": scores["undefined"],
        }
    )
    pinned = {"network": st.column_config.Column(pinned=True)}
    st.dataframe(shown, hide_index=True, column_config=pinned)
    st.caption(NOTE)


def _three(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def _percent(value: float) -> str:
    return f"{value:.0f} %" if np.isfinite(value) else "-"
