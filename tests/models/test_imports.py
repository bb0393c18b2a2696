"""Reading a study file or predicting must not wait for Lightning."""

import subprocess
import sys


def test_only_training_loads_lightning():
    code = (
        "import sys, spinforge.models.inference, spinforge.models.devices\n"
        "import spinforge.models.training.recipes, spinforge.evaluation.report.page\n"
        "sys.exit('lightning' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
