"""The planted study as a page, without server or browser."""

import pytest
import streamlit as st
from planted_source import write_planted
from streamlit.testing.v1 import AppTest


def _page(*tables, **options):
    from planted_source import show_planted

    show_planted(*tables, **options)


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """The long table of both protocols."""
    return write_planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture
def page_of(planted):
    """Open a page of these tables, at one of its tabs."""

    def open_page(tab, *tables, **options) -> AppTest:
        st.cache_data.clear()
        st.cache_resource.clear()
        paths = tuple(str(path) for path in tables) or (str(planted),)
        app = AppTest.from_function(_page, default_timeout=60, args=paths, kwargs=options)
        app.query_params["tab"] = tab
        return app.run()

    return open_page
