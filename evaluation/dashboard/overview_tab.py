"""Overview: which studies there are, and what came out of this one."""

from html import escape

import pandas as pd
import streamlit as st

from spinforge.evaluation.dashboard import choices, reading
from spinforge.evaluation.dashboard.score_table import score_table
from spinforge.evaluation.dashboard.shown import Shown
from spinforge.simulation.errors import SpinforgeError


def show(shown: Shown) -> None:
    """Headline scores of all networks, then what was run."""
    facts, content = shown.facts, shown.content
    first = choices.headline(facts, content)
    st.subheader(shown.name)
    sizes = {
        "network": len(first.networks),
        "corruption": len(first.transforms),
        "subject": len(facts.subjects),
        "seed": len(facts.seeds),
        "value": facts.rows,
    }
    counts = [choices.counted(number, thing) for thing, number in sizes.items()]
    st.caption(" · ".join([content.created, *counts]))
    verdict = st.container()
    st.markdown(f"**{first.in_words}**, all corruptions, whatever the filters")
    score_table(reading.network_scores(shown.stamp, first, content.baseline), first.metric)
    _report(shown)
    st.subheader("Networks")
    st.dataframe(
        pd.DataFrame(
            {
                "network": first.networks,
                "what it is": [content.networks.get(name, "") for name in first.networks],
            }
        ),
        hide_index=True,
    )
    st.subheader("Corruptions")
    st.dataframe(
        pd.DataFrame(
            {
                "corruption": first.transforms,
                "what is done": [content.transforms.get(name, "") for name in first.transforms],
                "levels": [_levels(shown, name) for name in first.transforms],
            }
        ),
        hide_index=True,
    )
    st.subheader("All studies")
    st.dataframe(_studies(shown), hide_index=True)
    if content.provenance:
        with st.expander("Provenance"):
            facts_of = pd.DataFrame(content.provenance.items(), columns=["fact", "value"])
            st.dataframe(facts_of, hide_index=True)
    if content.configuration:
        with st.expander("Study file"):
            st.code(content.configuration, language="yaml")
    with verdict:  # last, as it takes the longest
        _verdict(shown)


def _verdict(shown: Shown) -> None:
    """What came out, in the sentences of the report."""
    found = reading.findings(shown.stamp, shown.facts.units[0], shown.content)
    if found.message:
        st.warning(found.message)
    for protocol, sentences in found.verdict:
        heading = f"<b>{escape(protocol)}</b>" if protocol else ""
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        st.html(f'<div class="sf-verdict">{heading}<ul>{items}</ul></div>')


def _report(shown: Shown) -> None:
    """Where the page is that can be sent to others."""
    report = shown.source.report(shown.name)
    if report is None:
        st.caption("There is no HTML report of this study yet.")
        return
    st.markdown("The same as one file, to send or print (a browser may not open it from here):")
    st.code(report.resolve().as_uri(), language=None)


def _levels(shown: Shown, transform: str) -> str:
    strengths = shown.content.strengths
    levels = shown.facts.levels_of(transform)
    return ", ".join(strengths.get((transform, level), str(level)) for level in levels)


def _studies(shown: Shown) -> pd.DataFrame:
    """Every study, with the time of its table."""
    rows: list[tuple[str, str, str | None, str | None, int | None]] = []
    for name in shown.source.names():
        try:
            state = reading.stamp(shown.source.table(name))
            facts = reading.facts(state)
        except SpinforgeError as error:
            rows.append((name, str(error), None, None, None))
            continue
        written = pd.Timestamp(state[1], unit="ns", tz="UTC").strftime("%Y-%m-%d %H:%M UTC")
        models = ", ".join(facts.models)
        rows.append((name, written, models, ", ".join(facts.tasks), len(facts.subjects)))
    return pd.DataFrame(rows, columns=["study", "table written", "networks", "task", "subjects"])
