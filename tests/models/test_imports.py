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


def test_applying_networks_needs_nothing_of_training():
    code = (
        "import sys, spinforge.models.inference, spinforge.models.devices\n"
        "import spinforge.models.prediction.volume, spinforge.models.prediction.kspace\n"
        "import spinforge.models.prediction.sequences, spinforge.models.prediction.files\n"
        "sys.exit(any(name.startswith('spinforge.models.training') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
