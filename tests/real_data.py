"""Real data beside the project, if there is any; tests that need it skip elsewhere."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("SPINFORGE_DATA", Path(__file__).parents[2] / "shared" / "data"))
BRAINWEB20 = SHARED / "brainweb20"

needs_brainweb20 = pytest.mark.skipif(
    not BRAINWEB20.is_dir(),
    reason=f"no BrainWeb models in {BRAINWEB20}; set SPINFORGE_DATA to the folder above them",
)
