"""Kill -9 in the middle of any stage: the training goes on, and ends as if nothing had happened."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_training_killed_in_each_stage_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    """Of CRDN, FCSLSTM, Two-step, SERANet-1++ and SegNetMRI."""
    repository = Path(__file__).parents[3]
    script = repository / "tests" / "killed_training.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("10 kills, ")
