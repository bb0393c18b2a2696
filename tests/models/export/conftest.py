"""For tests that trace networks."""

import jaxtyping
import pytest


@pytest.fixture
def _unchecked(monkeypatch):
    """Tracing takes the checks of array shapes, which exist in tests alone, for fixed sizes."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
