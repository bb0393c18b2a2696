"""Where phantoms come from: BrainWeb's files or our own procedural heads."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from spinforge.datasets import brainweb
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.head import generate_head, head_digest


@runtime_checkable
class PhantomSource(Protocol):
    """A collection of phantoms, addressed by subject."""

    def subjects(self) -> list[str]:
        """Every subject there is, sorted."""

    def check(self, subject: str) -> None:
        """Raise SpinforgeError if the subject cannot be loaded; quick."""

    def digest(self, subject: str) -> str:
        """Digest the phantom will have, without making it."""

    def load(self, subject: str) -> Phantom:
        """Make or read the phantom."""


class ProceduralHeads:
    """Our own heads; any number of them, from a seed.

    Args:
        count: Number of subjects, named head-000, head-001, ...
        named: Further ones, such as head-137.
        seed: Root seed.
        spacing_mm: Voxel size [mm].
    """

    def __init__(
        self, count: int, named: Sequence[str] = (), *, seed: int, spacing_mm: float
    ) -> None:
        self._names = {f"head-{index:03d}" for index in range(count)}
        self._names |= {name for name in named if re.fullmatch(r"head-\d{3}", name)}
        self._seed = seed
        self._spacing_mm = spacing_mm

    def subjects(self) -> list[str]:
        """Every subject there is, sorted."""
        return sorted(self._names)

    def check(self, subject: str) -> None:
        """Nothing to check: the generator needs no file."""

    def digest(self, subject: str) -> str:
        """Digest of the generator's version and arguments."""
        return head_digest(subject, seed=self._seed, spacing_mm=self._spacing_mm)

    def load(self, subject: str) -> Phantom:
        """Generate the head."""
        return generate_head(subject, seed=self._seed, spacing_mm=self._spacing_mm)


class BrainWeb20:
    """BrainWeb's twenty normal subjects from a folder of MINC files.

    Args:
        folder: Folder with subjectNN_crisp_v.mnc.gz.
        complete: Count all twenty subjects as available, because what is missing will be
            downloaded.
    """

    def __init__(self, folder: Path, *, complete: bool = False) -> None:
        self._folder = folder
        self._complete = complete

    def subjects(self) -> list[str]:
        """Subjects whose file is there, or all twenty."""
        if self._complete:
            return sorted(brainweb.SUBJECTS)
        found = brainweb.subjects_in(self._folder)
        if not found:
            # Names the folder and how to fill it.
            brainweb.model_path(self._folder, brainweb.SUBJECTS[0])
            raise SpinforgeError(f"data.path: no BrainWeb model in {self._folder}.")
        return found

    def check(self, subject: str) -> None:
        """Read the file once, to its end, so that damage is found before any work."""
        brainweb.open_model(brainweb.model_path(self._folder, subject))

    def digest(self, subject: str) -> str:
        """SHA-256 of the file."""
        return brainweb.file_digest(brainweb.model_path(self._folder, subject))

    def load(self, subject: str) -> Phantom:
        """Decode the file."""
        return brainweb.load_brainweb20(self._folder, subject)
