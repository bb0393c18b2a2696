"""Spinforge: from a digital brain to a trusted segmentation, in one reproducible pipeline."""

from importlib.metadata import version
from pathlib import Path

# Git on Windows writes links as small files unless told otherwise; then nothing could be imported.
if not all((Path(__file__).parent / name).is_dir() for name in ("simulation", "flows")):
    raise ImportError(
        f"the links in {Path(__file__).parent} lead to no folders. In the clone, run: "
        f"git config core.symlinks true && git checkout -- src"
    )

__version__ = version("spinforge")
