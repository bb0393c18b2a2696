"""Where phantoms come from: BrainWeb's files or our own procedural heads."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from spinforge.datasets.brainweb import subject0 as brainweb_subject0
from spinforge.datasets.brainweb import twenty as brainweb
from spinforge.datasets.brainweb.files import files_digest
from spinforge.datasets.brainweb.subject0 import Glial, Model
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
    """BrainWeb's twenty normal subjects from a folder of its files.

    Args:
        folder: Folder with subjectNN_crisp_v.mnc.gz, or its .rawb or .raws; with `fuzzy`, with
            subjectNN_csf_v.mnc.gz and eleven more a subject.
        fuzzy: Memberships from BrainWeb's fuzzy volumes, not from the crisp model.
        complete: Count all twenty subjects as available, because what is missing will be
            downloaded.
        spacing_mm: Voxel size [mm]: 1 for averages of 2 x 2 x 2 voxels, 0.5 for the model's own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fuzzy: bool = False,
        complete: bool = False,
        spacing_mm: float = 1.0,
    ) -> None:
        self._folder = folder
        self._fuzzy = fuzzy
        self._complete = complete
        self._spacing_mm = spacing_mm

    def subjects(self) -> list[str]:
        """Subjects of which there is a file, or all twenty."""
        if self._complete:
            return sorted(brainweb.SUBJECTS)
        found = brainweb.subjects_in(self._folder, fuzzy=self._fuzzy)
        if not found:
            # Names the folder and how to fill it.
            self._paths(brainweb.SUBJECTS[0])
            raise SpinforgeError(f"data.path: no BrainWeb model in {self._folder}.")
        return found

    def check(self, subject: str) -> None:
        """Read the files once, to their ends, so that damage is found before any work."""
        for path in self._paths(subject):
            brainweb.check_model(path)

    def digest(self, subject: str) -> str:
        """SHA-256 of the files."""
        return files_digest(self._paths(subject))

    def load(self, subject: str) -> Phantom:
        """Decode the files."""
        return brainweb.load_brainweb20(
            self._folder, subject, fuzzy=self._fuzzy, spacing_mm=self._spacing_mm
        )

    def _paths(self, subject: str) -> list[Path]:
        return brainweb.model_paths(self._folder, subject, fuzzy=self._fuzzy)


class BrainWeb0:
    """BrainWeb's subject 0: the normal model and the three with MS lesions, as four subjects.

    All four are the same head, so a study must not train on one and test on another.

    Args:
        folder: Folder with phantom_1.0mm_normal_crisp.mnc.gz, ..., or with all the fuzzy volumes
            of a model, or JEMRIS's MNIbrain.mat.
        glial: What glial matter counts as. There is no "ignore": a phantom's memberships sum to
            one, so every voxel is something.
    """

    def __init__(self, folder: Path, *, glial: Glial = "gm") -> None:
        self._folder = folder
        self._glial = glial

    def subjects(self) -> list[str]:
        """Models whose files are there."""
        found = brainweb_subject0.models_in(self._folder)
        if not found:
            # Names the folder and how to fill it.
            brainweb_subject0.model_files(self._folder, "normal")
        return sorted(found)

    def check(self, subject: str) -> None:
        """Read the files once, to their ends, so that damage is found before any work."""
        model = _model(subject)
        brainweb_subject0.check_model(brainweb_subject0.model_files(self._folder, model), model)

    def digest(self, subject: str) -> str:
        """Digest of the files and of what glial matter counts as."""
        files = brainweb_subject0.model_files(self._folder, _model(subject))
        return brainweb_subject0.model_digest(files, self._glial)

    def load(self, subject: str) -> Phantom:
        """Decode the files."""
        return brainweb_subject0.load_model(self._folder, _model(subject), glial=self._glial)


def _model(subject: str) -> Model:
    for model in brainweb_subject0.MODELS:
        if subject == model:
            return model
    raise SpinforgeError(
        f"{subject!r} is none of BrainWeb's models: {', '.join(brainweb_subject0.MODELS)}."
    )
