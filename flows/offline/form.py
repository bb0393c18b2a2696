"""What a pack and the results that come back from it say of themselves."""

import hashlib
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from spinforge.simulation.config import Config
from spinforge.simulation.errors import SpinforgeError

PACK_NOTE = "pack.json"
"""In a pack, written last: a pack without it is not whole."""

RESULTS_NOTE = "results.json"
"""In the results, likewise."""

RESULTS = "results.tar"
"""What a pack's run leaves beside `run.py`."""


class Note(Config):
    """What both have in common.

    Attributes:
        study: Name of the study.
        dataset_digest: Content of its set, as `DatasetStore.digest` has it.
        files: SHA-256 of every other file, by its name.
    """

    version: Literal[1] = 1
    study: str
    dataset_digest: str
    files: dict[str, str]


class PackNote(Note):
    """What a pack holds.

    Attributes:
        spinforge: Version of the code in it.
        code: Git commit it was packed from, if any.
        networks: Name of each network -> name of the folder it will be trained in, which is a hash
            of network, recipe, seed, data and code.
    """

    format: Literal["spinforge-pack"] = "spinforge-pack"
    spinforge: str
    code: dict[str, str | bool]
    networks: dict[str, str]


class ResultsNote(Note):
    """What comes back.

    Attributes:
        networks: Name of each network that is trained and scored -> names of the folder it was
            trained in and of the folder of its scores.
        machine: Where that was done: processor, GPU, versions.
    """

    format: Literal["spinforge-results"] = "spinforge-results"
    networks: dict[str, tuple[str, str]] = Field(min_length=1)
    machine: dict[str, str]


AnyNote = TypeVar("AnyNote", PackNote, ResultsNote)


def read_note(folder: Path, name: str, kind: type[AnyNote], shown: Path) -> AnyNote:
    """Read a note and compare every file with it.

    Args:
        folder: Where it lies, with the files that it names.
        name: Its file.
        kind: What is expected.
        shown: Path for messages: of the archive that `folder` came from, say.

    Raises:
        SpinforgeError: If there is none, it is something else, or a file is missing or was changed.
    """
    what = "a packed study" if kind is PackNote else "the results of a packed study"
    try:
        note = kind.model_validate_json((folder / name).read_bytes())
    except FileNotFoundError:
        raise SpinforgeError(f"{shown} is not {what}: it has no {name}") from None
    except ValidationError:
        raise SpinforgeError(
            f"{shown} is not {what} that this version of Spinforge can read: see its {name}"
        ) from None
    for file, digest in note.files.items():
        path = folder / file
        if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()):
            raise SpinforgeError(f"{shown} is damaged: its {name} names {file}, a file outside it")
        if not path.is_file() or sha256_of(path.read_bytes()) != digest:
            raise SpinforgeError(f"{shown} is damaged: {file} is missing or changed. Copy it again")
    return note


def sha256_of(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
