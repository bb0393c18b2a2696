"""The planted study, made once: twelve subjects, as many as a large family of tests needs."""

import pandas as pd
import pytest
from planted_robustness import planted_content, planted_table

from spinforge.evaluation.robustness.content import RobustnessContent


@pytest.fixture(scope="session")
def planted_rows() -> pd.DataFrame:
    """The long table of twelve subjects and one seed."""
    return planted_table(12, (0,))


@pytest.fixture(scope="session")
def planted(planted_rows) -> RobustnessContent:
    """The study of these rows."""
    return planted_content(table=planted_rows)
