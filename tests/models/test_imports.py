"""Reading a study file or predicting must not wait for Lightning, or for MONAI, seconds each."""

import subprocess
import sys


def test_only_training_loads_lightning_and_only_its_networks_monai():
    code = (
        "import sys, spinforge.models.inference, spinforge.models.devices\n"
        "import spinforge.models.training.recipes, spinforge.evaluation.report.page\n"
        "import spinforge.models.catalogue\n"
        "sys.exit('lightning' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
