"""Spinforge: from a digital brain to a trusted segmentation, in one reproducible pipeline."""

from importlib.metadata import version

__version__ = version("spinforge")
