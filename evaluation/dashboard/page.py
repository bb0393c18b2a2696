"""The whole page."""

from importlib.resources import files

import streamlit as st
from PIL import Image

from spinforge.evaluation.dashboard import (
    choices,
    compare_tab,
    curves_tab,
    filters,
    overview_tab,
    reading,
    runs_tab,
    samples_tab,
)
from spinforge.evaluation.dashboard.shown import Shown
from spinforge.evaluation.dashboard.source import StudySource
from spinforge.evaluation.report.colours import BLUE, rgb
from spinforge.simulation.errors import SpinforgeError

TITLE = "Spinforge robustness"
TABS = ("Overview", "Curves", "Compare", "Samples", "Runs")

_FILTERED = {"Curves": curves_tab.show, "Compare": compare_tab.show, "Samples": samples_tab.show}


def show_page(source: StudySource) -> None:
    """Draw the page for what is chosen now; Streamlit calls this at every interaction.

    Args:
        source: Of the studies.
    """
    # A picture of ours: Streamlit fetches its own icons and emojis from the internet.
    icon = Image.new("RGB", (16, 16), rgb(BLUE))
    st.set_page_config(page_title=TITLE, page_icon=icon, layout="wide")
    css = files("spinforge.evaluation.dashboard").joinpath("page.css").read_text(encoding="utf-8")
    st.html(f"<style>{css}</style>")
    st.title(TITLE)
    st.html('<div class="sf-phone">Study and filters: » at the top left.</div>')
    try:
        _show(source)
    except SpinforgeError as error:
        st.error(str(error))


def _show(source: StudySource) -> None:
    names = list(source.names())
    if not names:
        st.info(
            f"There is no robustness study in {source.place} yet. Run one, such as\n\n"
            f"    spinforge robustness studies/robustness.yaml\n\nand reload this page."
        )
        return
    with st.sidebar:
        name = filters.choose_study(names)
    stamp = reading.stamp(source.table(name))
    facts = reading.facts(stamp)
    content = reading.content(stamp, name, source)
    with st.sidebar:
        choice = filters.choose(facts, content)
    order = tuple(choices.networks(facts, content))
    _show_tabs(Shown(source, name, stamp, facts, content, choice, order))


def _show_tabs(shown: Shown) -> None:
    """Only the open tab is computed."""
    for name, tab in zip(TABS, st.tabs(TABS, key="tab", bind="query-params"), strict=True):
        if not tab.open:
            continue
        with tab:
            missing = filters.what_is_missing(shown.choice)
            if name == "Overview":
                overview_tab.show(shown)
            elif name == "Runs":
                runs_tab.show(shown)
            elif missing:
                st.info(missing)
            else:
                _FILTERED[name](shown)
