"""The filters beside every tab."""

from collections.abc import Sequence

import streamlit as st

from spinforge.evaluation.dashboard import choices
from spinforge.evaluation.dashboard.choices import Choice
from spinforge.evaluation.dashboard.parquet_rows import TableFacts
from spinforge.evaluation.robustness.content import RobustnessContent


def choose_study(names: Sequence[str]) -> str:
    """Which study; also in the address of the page."""
    chosen: str = st.selectbox("Study", list(names), key="study", bind="query-params")
    return chosen


def choose(facts: TableFacts, content: RobustnessContent) -> Choice:
    """What of the study; everything at first.

    The keys have the study's name, so that another study starts with all of its own.
    """
    name = content.name
    first = choices.headline(facts, content)
    networks = st.multiselect(
        "Networks", first.networks, default=first.networks, key=f"networks of {name}"
    )
    transforms = st.multiselect(
        "Corruptions", first.transforms, default=first.transforms, key=f"corruptions of {name}"
    )
    metric = st.selectbox(
        "Metric",
        choices.known_metrics(facts),
        format_func=choices.metric_name,
        key=f"metric of {name}",
    )
    tissue = st.selectbox(
        "Tissue",
        choices.tissues(facts, content, metric),
        format_func=choices.tissue_name,
        key=f"tissue of {name}",
    )
    unit = st.radio(
        "Cases",
        facts.units,
        format_func=lambda unit: f"{unit}s",
        horizontal=True,
        key=f"unit of {name}",
        help="Slices weigh alike; a volume is scored as a whole. Intervals are over subjects.",
    )
    protocol = st.radio("Networks were", choices.protocols(facts), key=f"protocol of {name}")
    seeds = st.multiselect(
        "Seeds of the training", facts.seeds, default=facts.seeds, key=f"seeds of {name}"
    )
    return Choice(
        networks=tuple(n for n in first.networks if n in networks),
        transforms=tuple(t for t in first.transforms if t in transforms),
        tissue=tissue,
        metric=metric,
        unit=unit,
        protocol=protocol,
        seeds=tuple(sorted(seeds)),
    )


def what_is_missing(choice: Choice) -> str:
    """What to choose before anything can be shown; empty if nothing."""
    lacking = {
        "a network": not choice.networks,
        "a corruption": not choice.transforms,
        "a seed": not choice.seeds,
    }
    names = [name for name, lacks in lacking.items() if lacks]
    return f"Choose {' and '.join(names)} in the filters." if names else ""
