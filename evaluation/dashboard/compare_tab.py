"""Compare: which network degrades less, and whether that can be claimed."""

import streamlit as st

from spinforge.evaluation.dashboard import charts, choices, reading
from spinforge.evaluation.dashboard.score_table import score_table
from spinforge.evaluation.dashboard.scores import comparison_matrix
from spinforge.evaluation.dashboard.shown import Shown


def show(shown: Shown) -> None:
    """Scores, heat map and comparison matrix."""
    choice, baseline = shown.choice, shown.content.baseline
    scores = reading.network_scores(shown.stamp, choice, baseline)
    st.markdown(f"**{choice.in_words}**; baseline of mCE: {baseline}")
    score_table(scores, choice.metric)
    if scores.empty:
        return
    if baseline not in choice.networks:
        st.caption(f"No mCE: its baseline {baseline} is not among the chosen networks.")
    st.subheader("Degradation by corruption")
    table = reading.degradation_by_transform(shown.stamp, choice)
    st.altair_chart(
        charts.heat_map(table, choice.networks, choice.metric),
        width="stretch",
        key="heat map",
        alt="Degradation of every network under every corruption",
    )
    st.caption("Darker degrades more. Negative values: better than on clean images.")
    _matrix(shown)


def _matrix(shown: Shown) -> None:
    choice = shown.choice
    st.subheader("Do the networks differ?")
    if len(choice.networks) < 2:
        st.info("Choose two networks or more to compare them.")
        return
    pairs = reading.comparisons(shown.stamp, choice)
    matrix = comparison_matrix(pairs, choice.networks)
    st.altair_chart(
        charts.comparison_chart(matrix, choice.networks),
        width="stretch",
        key="matrix",
        alt="Difference in degradation of every pair of networks",
    )
    st.caption(
        "Degradation of the row less that of the column, mean over subjects. ▲ blue: the row "
        "degrades less; ▼ orange: more; grey: no difference is shown. Wilcoxon's signed-rank test "
        f"over subjects, corrected by Holm for {choices.counted(len(pairs), 'pair')}."
    )
    st.markdown("**In words** (values are degradations: the larger, the worse)")
    for claim in pairs["claim"]:
        st.text(claim)
