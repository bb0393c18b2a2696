"""Samples: single slices, clean beside corrupted, the worst first if wanted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from spinforge.evaluation.dashboard import choices, reading
from spinforge.evaluation.dashboard.sample_pictures import colour_key, panels
from spinforge.evaluation.dashboard.scores import worst_cases
from spinforge.evaluation.dashboard.shown import Shown
from spinforge.evaluation.metric_direction import larger_is_better
from spinforge.evaluation.robustness.content import Condition
from spinforge.evaluation.robustness.long_table import CLEAN, TRAINED_CLEAN
from spinforge.simulation.errors import SpinforgeError

_LISTED = 100
_WORST, _ANY = "worst first", "any slice"


def show(shown: Shown) -> None:
    """Choose a condition and a case, then look at it."""
    if "slice" not in shown.facts.units:
        st.info("The table has no rows of slices, so there is no slice to choose.")
        return
    condition = _condition(shown)
    table = reading.cases(shown.stamp, condition, shown.choice.metric)
    own = table[table["class"] == shown.choice.tissue]
    if own.empty:
        st.info(
            f"{condition.model} was not scored on {_words(shown, condition)} with seed "
            f"{condition.seed}, {condition.protocol}. Choose another."
        )
        return
    case = _case(shown, own)
    if case is not None:
        _pictures(shown, condition, *case)


def _condition(shown: Shown) -> Condition:
    choice = shown.choice
    first, second, third, fourth = st.columns([3, 3, 3, 2])
    model = first.selectbox("Network", choice.networks, key="sample network")
    transform = second.selectbox("Corruption", choice.transforms, key="sample corruption")
    levels = shown.facts.levels_of(transform)
    if len(levels) > 1:
        key = f"sample severity of {transform}"
        severity = third.select_slider("Severity", levels, value=levels[-1], key=key)
    else:
        severity = levels[0]
    seed = fourth.selectbox("Seed", choice.seeds, key="sample seed")
    return Condition(model, transform, severity, seed, choice.protocol)


def _case(shown: Shown, rows: pd.DataFrame) -> tuple[str, int] | None:
    """Subject and slice."""
    metric, tissue = shown.choice.metric, shown.choice.tissue
    order = st.radio("Cases", [_WORST, _ANY], horizontal=True, key="sample order")
    if order == _ANY:
        first, second = st.columns(2)
        subject = first.selectbox("Subject", sorted(set(rows["subject"])), key="sample subject")
        numbers = sorted(rows.loc[rows["subject"] == subject, "slice"].tolist())
        if len(numbers) == 1:
            return subject, numbers[0]
        key = f"sample slice of {subject}"
        middle = numbers[len(numbers) // 2]
        return subject, second.select_slider("Slice", numbers, value=middle, key=key)
    worst = worst_cases(rows, larger_is_better(metric)).head(_LISTED)
    if worst.empty:
        st.info(f"No slice has a {choices.metric_name(metric)} of {tissue}.")
        return None
    named = [
        f"{rank}. {row.subject}, slice {row.slice}: {choices.metric_name(metric)} {row.value:.3f}"
        for rank, row in enumerate(worst.itertuples(), start=1)
    ]
    chosen = st.selectbox(
        f"By {choices.metric_name(metric)} of {choices.tissue_name(tissue)}",
        range(len(named)),
        format_func=named.__getitem__,
        key="sample rank",
    )
    row = worst.iloc[chosen]
    return str(row["subject"]), int(row["slice"])


def _pictures(shown: Shown, condition: Condition, subject: str, number: int) -> None:
    """Corrupted above clean, and the values of both."""
    clean = replace(condition, transform=CLEAN, severity=0)
    values: dict[str, pd.Series] = {}
    said: set[str] = set()
    st.html(colour_key(shown.content.classes))
    for one in (condition, clean):
        words = _words(shown, one)
        st.markdown(f"**{words}** · {subject}, slice {number} · {one.model}, seed {one.seed}")
        cases = reading.cases(shown.stamp, one, shown.choice.metric)
        if cases.empty and one.transform == CLEAN:
            one = replace(one, protocol=TRAINED_CLEAN)
            cases = reading.cases(shown.stamp, one, shown.choice.metric)
        here = (cases["subject"] == subject) & (cases["slice"] == number)
        values[words] = cases[here].set_index("class")["value"]
        try:
            images = reading.case_images(shown.stamp, one, subject, number, shown.content)
        except SpinforgeError as error:
            if str(error) not in said:  # that the data set is gone holds for both
                st.warning(str(error))
            said.add(str(error))
            continue
        st.html(
            panels(
                images,
                one.model,
                shown.content.classes,
                seen=shown.content.seen,
                what=f"{words}, {subject}, slice {number}",
            )
        )
    st.caption(shown.content.axes)
    _table(shown, values)


def _table(shown: Shown, values: dict[str, pd.Series]) -> None:
    name = choices.metric_name(shown.choice.metric)
    tissues = choices.tissues(shown.facts, shown.content, shown.choice.metric)
    rows = [
        {"image": words} | {choices.tissue_name(t): _shown(one.get(t, np.nan)) for t in tissues}
        for words, one in values.items()
    ]
    st.markdown(f"**{name} of this slice**")
    st.dataframe(pd.DataFrame(rows), hide_index=True)


def _shown(value: float) -> str:
    return "in neither map" if np.isnan(value) else f"{value:.3f}"


def _words(shown: Shown, condition: Condition) -> str:
    """The corruption and its strength."""
    if condition.transform == CLEAN:
        return "clean image"
    level = str(condition.severity)
    strength = shown.content.strengths.get((condition.transform, condition.severity), level)
    return f"{condition.transform}, {strength}"
