"""What runs in a worker process: one subject, or one of its corruption chains.

What is sent there is small: settings, a name and the address of the set. What comes back is
nothing; the worker writes to the set itself.
"""

from collections.abc import Sequence
from pathlib import Path

from spinforge.datasets.corruption.sets import make_sets
from spinforge.datasets.corruption.settings import CorruptedSet
from spinforge.datasets.products.catalogue import Product
from spinforge.datasets.products.making import make_subject
from spinforge.datasets.storage.store import DatasetStore


def simulate(product: Product, subject: str, path: Path | str, group: str) -> None:
    """Make one subject of the set at `path`."""
    make_subject(product, subject, DatasetStore(path, group))


def corrupt(
    product: Product,
    subject: str,
    path: Path | str,
    group: str,
    sets: Sequence[CorruptedSet],
    overwrite: bool,
) -> None:
    """Make one subject's corruption sets of one chain."""
    make_sets(product, DatasetStore(path, group), subject, sets, overwrite=overwrite)
