"""Every digest of a set computed again: what was damaged, edited, lost or added since.

Two levels: the bytes of each stored file against the digests noted of them, which finds any
changed bit; and the values of each array, read through zarr, against the digests that make the
content hash, which are independent of how the bytes lie.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from spinforge.datasets.storage.arrays import array_digest
from spinforge.datasets.storage.files import is_abandoned
from spinforge.datasets.storage.locations import METADATA, Location, location_of
from spinforge.datasets.storage.lock import WRITER_NOTE, Writer
from spinforge.datasets.storage.metadata import (
    PLAIN_GROUP,
    SEAL,
    command_for,
    group_metadata,
    is_hidden,
    is_sealed,
    is_table,
    manifest,
    manifest_text,
    parents,
    parsed_attributes,
    stored_subjects,
    tables,
)
from spinforge.datasets.storage.remote import RemoteFolder
from spinforge.datasets.storage.store import MANIFEST, SCHEMA, SCHEMA_VERSION, DatasetStore
from spinforge.simulation.config import content_hash


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it was written.

    Attributes:
        where: Path or URL.
        what: What is wrong with it and what to do.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Inventory:
    """What lies in a set, before any array is read.

    Attributes:
        subjects: Attributes of every subject by its path in the set.
        problems: What is wrong with the set itself, its groups, its manifest, or lies in it
            without belonging there.
    """

    subjects: dict[str, dict[str, Any]]
    problems: list[Problem]


def verify_store(path: Path | str) -> list[Problem]:
    """Check a whole set.

    Args:
        path: Folder or URL of the set.

    Returns:
        What is wrong; nothing if every byte is as it was written.

    Raises:
        SpinforgeError: If there is no set, or one of another version.
    """
    inventory = take_inventory(path)
    found = [verify_subject(path, name) for name in inventory.subjects]
    return inventory.problems + [problem for problems in found for problem in problems]


def take_inventory(path: Path | str) -> Inventory:
    """Check all of a set but the insides of its subjects.

    Args:
        path: Folder or URL of the set.

    Raises:
        SpinforgeError: If there is no set, or one of another version.
    """
    location = location_of(path)
    files = location.files("")
    root = _root_attributes(location, files)
    subjects = stored_subjects(location, files)
    # A group whose own metadata is lost is still known by the subjects in it.
    groups = {parent for name in subjects for parent in parents(name)}
    kind = (root or {}).get("kind")
    groups |= {*parents(str(kind)), str(kind)} if kind else set()
    problems = [
        *_root_problems(location, root),
        *_group_problems(location, groups - subjects.keys()),
        *_subject_origins(location, subjects, root),
        *_manifest_problems(location, subjects, files),
        *_strangers(location, files, subjects, groups),
    ]
    return Inventory(subjects, problems)


def _root_attributes(location: Location, files: dict[str, int]) -> dict[str, Any] | None:
    """Attributes of the set, or None if they are damaged.

    Raises:
        SpinforgeError: If there is no set, or one of another version.
    """
    attributes = parsed_attributes(location.read(METADATA))
    if attributes is None:
        if METADATA in files or MANIFEST in files:
            return None
        DatasetStore(location.at("")).attributes()  # says what there is instead
    elif SEAL not in attributes and attributes.get("schema_version") != SCHEMA_VERSION:
        DatasetStore(location.at("")).attributes()
    return attributes


def _root_problems(location: Location, attributes: dict[str, Any] | None) -> Iterator[Problem]:
    where = str(location.at(METADATA))
    way_out = "Put the file back from a copy, or make the set again"
    metadata = location.read(METADATA)
    if attributes is None or metadata is None:
        yield Problem(where, f"is missing or damaged. {way_out}")
        return
    if not is_sealed(attributes) or group_metadata(attributes) != metadata:
        yield Problem(where, f"was changed after it was written. {way_out}")
    elif (attributes["schema"], attributes["schema_version"]) != (SCHEMA, SCHEMA_VERSION):
        yield Problem(where, f"is of another version. {way_out}")
    elif content_hash(json.loads(attributes["config"])) != attributes["config_hash"]:
        yield Problem(where, f"config_hash is not that of config. {way_out}")


def _group_problems(location: Location, groups: set[str]) -> Iterator[Problem]:
    for group in sorted(groups):
        name = f"{group}/{METADATA}"
        if location.read(name) != PLAIN_GROUP:
            yield Problem(
                str(location.at(name)),
                f"is missing or damaged. Delete it and run {command_for(name)}, which writes it",
            )


def _subject_origins(
    location: Location, subjects: dict[str, dict[str, Any]], root: dict[str, Any] | None
) -> Iterator[Problem]:
    """Whole subjects that belong elsewhere: copied from another set, or renamed."""
    for name, attributes in subjects.items():
        group, _, subject = name.rpartition("/")
        where = str(location.at(name))
        if attributes.get("subject", subject) != subject:
            yield Problem(
                where, f"is subject {attributes['subject']}, renamed. {_again(location, name)}"
            )
        strength = attributes.get("strength", group.rpartition("/")[2])
        if group.startswith("corrupt/") and strength != group.rpartition("/")[2]:
            yield Problem(
                where, f"has strength {strength}, so lies elsewhere. {_again(location, name)}"
            )
        wanted = (root or {}).get("config_hash")
        if group == (root or {}).get("kind") and attributes.get("config_hash", wanted) != wanted:
            yield Problem(where, f"was made with another configuration. {_again(location, name)}")


def _manifest_problems(
    location: Location, subjects: dict[str, dict[str, Any]], files: dict[str, int]
) -> Iterator[Problem]:
    where = str(location.at(MANIFEST))
    way_out = _missing("")
    expected = manifest(subjects, files) | tables(location, files)
    text = location.read(MANIFEST)
    try:
        noted = dict(json.loads(text or b""))
    except (ValueError, TypeError):
        yield Problem(where, f"is missing or damaged. {way_out}")
        return
    for name in sorted(noted.keys() - expected.keys()):
        yield Problem(
            str(location.at(name)), f"is in the manifest, but missing or damaged. {_missing(name)}"
        )
    for name in sorted(expected.keys() - noted.keys()):
        yield Problem(where, f"does not name {name}. {_missing(name)}")
    common = noted.keys() & expected.keys()
    wrong = sorted(name for name in common if noted[name] != expected[name])
    for name in wrong:
        yield Problem(where, f"says otherwise of {name} than is there. {_missing(name)}")
    if text != manifest_text(noted) or (not wrong and list(noted) != sorted(noted)):
        yield Problem(where, f"was changed after it was written. {way_out}")


def _strangers(
    location: Location,
    files: dict[str, int],
    subjects: dict[str, dict[str, Any]],
    groups: set[str],
) -> Iterator[Problem]:
    """Files that belong to no subject and no group, one problem a folder."""
    known = {METADATA, MANIFEST, *(f"{group}/{METADATA}" for group in groups)}
    if isinstance(location, RemoteFolder) and _is_being_written(location):
        known.add(WRITER_NOTE)
    unknown = [
        name
        for name in files
        if name not in known
        and not is_table(name)
        and not any(parent in subjects for parent in parents(name))
    ]
    unknown = [name for name in unknown if not _is_empty_group(location, name)]
    folders = {next((p for p in parents(name) if p not in groups), name) for name in unknown}
    for name in sorted(folders):
        where = location.at(name)
        if not (is_hidden(name) and ".tmp-" in name):
            yield Problem(str(where), "does not belong to the set, or is damaged. Delete it")
        elif not isinstance(where, Path) or is_abandoned(where):
            yield Problem(str(where), "was left behind; the next run removes it, or delete it")
    for path in location.abandoned(""):
        yield Problem(str(path), "was left behind; the next run removes it, or delete it")


def _is_empty_group(location: Location, name: str) -> bool:
    """Whether a file makes a group that holds nothing yet."""
    return name.endswith(f"/{METADATA}") and location.read(name) == PLAIN_GROUP


def _again(location: Location, subject: str) -> str:
    return f"Delete {location.at(subject)} and run {command_for(subject)} to make it again"


def _missing(name: str) -> str:
    return f"Run {command_for(name)}, which makes what is missing and writes it again"


def _is_being_written(location: Location) -> bool:
    writer = Writer.from_note(location.read(WRITER_NOTE))
    return writer is not None and not writer.is_gone


def verify_subject(path: Path | str, name: str) -> list[Problem]:
    """Check the attributes, files and arrays of one subject.

    Args:
        path: Folder or URL of the set.
        name: Path of the subject in the set, such as kspace/head-000.
    """
    location = location_of(path)
    where, again = str(location.at(name)), _again(location, name)
    metadata = location.read(f"{name}/{METADATA}")
    attributes = parsed_attributes(metadata)
    if attributes is None:
        return [Problem(where, f"is missing or damaged. {again}")]
    if not is_sealed(attributes) or group_metadata(attributes) != metadata:
        return [Problem(where, f"its attributes were changed. {again}")]  # digests among them
    problems = []
    noted, digests = attributes["files"], attributes["sha256"]
    if attributes["complete"] is not True:
        problems.append(Problem(where, f"is not complete. {again}"))
    if content_hash(digests) != attributes["content_sha256"]:
        problems.append(Problem(where, f"content_sha256 is not that of its arrays. {again}"))
    damaged = _damaged_files(location, name, noted)
    problems += [Problem(f"{where}/{file}", f"{what}. {again}") for file, what in damaged.items()]
    for array, digest in digests.items():
        if any(file.startswith(f"{array}/") for file in damaged):
            continue  # one line a problem
        if _values_digest(location, name, array) != digest:
            what = f"array {array!r} does not have the values that were written. {again}"
            problems.append(Problem(where, what))
    return problems


def _damaged_files(location: Location, name: str, noted: dict[str, str]) -> dict[str, str]:
    """What is wrong with each file of a subject that is not as noted."""
    there = location.files(name).keys() - {METADATA}
    found = {file: "does not belong here" for file in sorted(there - noted.keys())}
    for file, digest in sorted(noted.items()):
        try:
            if file not in there:
                found[file] = "is missing"
            elif location.digest(f"{name}/{file}") != digest:
                found[file] = "was changed after it was written"
        except OSError as error:
            found[file] = f"cannot be read ({error.strerror})"
    return found


def _values_digest(location: Location, name: str, array: str) -> str | None:
    """Digest of an array's values; None if zarr cannot read it."""
    try:
        found = zarr.open_group(location.zarr_store(name), mode="r").get(array)
        return array_digest(np.asarray(found[...])) if isinstance(found, zarr.Array) else None
    except (ValueError, TypeError, LookupError, OSError, RuntimeError):
        return None  # whatever zarr makes of a damaged header or chunk
