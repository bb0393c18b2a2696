"""What every product is: subjects, each made alone, each one group of arrays in the store."""

import importlib.metadata
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from pydantic import Field

from spinforge.datasets.splits import Split
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.code_version import code_version
from spinforge.datasets.storage.store import DatasetStore
from spinforge.simulation.config import Config, content_hash
from spinforge.simulation.rng import RNG_SCHEME

_PACKAGES = ("spinforge", "numpy", "scipy", "torch", "zarr", "nibabel", "sigpy")


class ProductSettings(Config):
    """What the settings of every product have in common."""

    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="seed of anatomy, noise and whatever else is drawn"
    )

    def recipe(self) -> dict[str, Any]:
        """All that determines a subject's bytes, as plain data: no paths, no split."""
        raise NotImplementedError

    @property
    def config_hash(self) -> str:
        """SHA-256 of `recipe`."""
        return content_hash(self.recipe())


@dataclass(frozen=True)
class Made:
    """One subject before it is stored.

    Attributes:
        arrays: Name in the subject's group -> array.
        provenance: Attributes of the group, as plain data; `phantom` must hold the `sha256` of
            what the subject was made from.
    """

    arrays: dict[str, StoredArray]
    provenance: dict[str, Any]


@runtime_checkable
class Maker(Protocol):
    """Makes the subjects of one product."""

    @property
    def group(self) -> str:
        """Folder of the subjects in the store: "kspace", "images" or "longitudinal"."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, ...; the background first."""

    def split(self) -> Split:
        """Names of the training, validation and test subjects.

        Raises:
            SpinforgeError: If there are too few, or one is named that is not there.
        """

    def check_settings(self) -> None:
        """Find settings that do not fit each other; needs no file.

        Raises:
            SpinforgeError: For the first one.
        """

    def check(self) -> None:
        """Find every bad input that would stop the work.

        Files that are still to be downloaded are left for a second call.

        Raises:
            SpinforgeError: For the first one.
        """

    def pending_downloads(self) -> list[str]:
        """Subjects whose files will be fetched first."""

    def source_digest(self, subject: str) -> str:
        """Digest of what the subject is made from: files, or a generator and its arguments."""

    def expected_bytes(self) -> int:
        """Upper bound of a subject's size on disk."""

    def make(self, subject: str) -> Made:
        """Make one subject."""

    def finish(self, store: DatasetStore) -> None:
        """Write what belongs to the set as a whole, once every subject is complete."""


def provenance(product: ProductSettings, subject: str) -> dict[str, Any]:
    """What is noted of every subject, whatever the product; `phantom` and more are added to it."""
    return {
        "subject": subject,
        "config_hash": product.config_hash,
        "root_seed": product.seed,
        "rng_scheme": RNG_SCHEME,
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
        "code": code_version(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
