"""Real data beside the project, if there is any; tests that need it skip elsewhere."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PLACES = [
    *([Path(os.environ["SPINFORGE_DATA"])] if "SPINFORGE_DATA" in os.environ else []),
    _ROOT / "data",
    _ROOT.parent / "shared" / "data",
]


def _folder(name: str) -> Path:
    return next((p / name for p in _PLACES if (p / name).is_dir()), _PLACES[0] / name)


BRAINWEB20 = _folder("brainweb20")
BRAINWEB0 = _folder("brainweb0")

needs_brainweb20 = pytest.mark.skipif(
    not BRAINWEB20.is_dir(),
    reason="no BrainWeb models: `spinforge download brainweb20`, or set SPINFORGE_DATA to the "
    "folder above them",
)

KSPACE_8COIL = next(
    (
        place / "kspace_8coil" / "cartesian_ksp.npy"
        for place in _PLACES
        if (place / "kspace_8coil" / "cartesian_ksp.npy").is_file()
    ),
    _PLACES[0] / "kspace_8coil" / "cartesian_ksp.npy",
)

needs_kspace_8coil = pytest.mark.skipif(
    not KSPACE_8COIL.is_file(),
    reason="no real k-space: set SPINFORGE_DATA to a folder with kspace_8coil/cartesian_ksp.npy",
)

needs_brainweb0 = pytest.mark.skipif(
    not BRAINWEB0.is_dir(),
    reason="no BrainWeb subject 0: `spinforge download brainweb0`, or set SPINFORGE_DATA to the "
    "folder above it",
)
