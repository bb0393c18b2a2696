"""What the groups of a set say of themselves, in one form: any other byte is damage.

Attributes are sealed: the digest among them is that of all the others.
"""

import json
from typing import Any

from spinforge.datasets.storage.locations import METADATA, LocalFolder, Location
from spinforge.simulation.config import content_hash

SEAL = "attributes_sha256"
"""Attribute that holds the digest of the others."""

TABLES = ("slices/", "splits/")
"""Folders of a set with files that are about all of its subjects."""


def group_metadata(attributes: dict[str, Any]) -> bytes:
    """The zarr.json of a group."""
    node = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
    return json.dumps(node, indent=2).encode()


PLAIN_GROUP = group_metadata({})
"""The zarr.json of a group that only holds others, as zarr-python writes it too."""


def sealed(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes as they will be read back, with their own digest.

    Raises:
        ValueError: If a number is not finite, for which JSON has no word.
    """
    plain = json.loads(json.dumps(attributes, allow_nan=False))
    return plain | {SEAL: content_hash(plain)}


def is_sealed(attributes: dict[str, Any]) -> bool:
    """Whether attributes are those that were sealed."""
    rest = {name: value for name, value in attributes.items() if name != SEAL}
    return attributes.get(SEAL) == content_hash(rest)


def parsed_attributes(metadata: bytes | None) -> dict[str, Any] | None:
    """Attributes in a zarr.json, or None if there is no such file or it cannot be read."""
    try:
        return dict(json.loads(metadata or b"")["attributes"])
    except (ValueError, LookupError, TypeError):
        return None


def file_digests(folder: LocalFolder) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {name: folder.digest(name) for name in folder.files("")}


def stored_subjects(location: Location, files: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Attributes of every subject in a set, of whatever group, by its path in the set.

    Args:
        location: The set.
        files: Its files.
    """
    subjects: dict[str, dict[str, Any]] = {}
    groups = [name.rpartition("/")[0] for name in files if name.endswith(f"/{METADATA}")]
    for group in sorted(groups, key=lambda name: name.count("/")):
        if is_hidden(group) or any(parent in subjects for parent in parents(group)):
            continue  # temporary, or an array of a subject
        attributes = parsed_attributes(location.read(f"{group}/{METADATA}"))
        if attributes is not None and "content_sha256" in attributes:
            subjects[group] = attributes
    return subjects


def command_for(name: str) -> str:
    """What makes a group or subject again, by its path in the set."""
    is_corrupted = name.partition("/")[0] == "corrupt"
    return f"`spinforge {'corrupt' if is_corrupted else 'generate'}`"


def parents(name: str) -> list[str]:
    """Folders above a name in a set, the outermost first: "a/b/c" lies in "a" and "a/b"."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def is_hidden(name: str) -> bool:
    """Whether a name or a folder above it starts with a dot, as temporary ones do."""
    return any(part.startswith(".") for part in name.split("/"))


def manifest(subjects: dict[str, dict[str, Any]], files: dict[str, int]) -> dict[str, Any]:
    """Status, digest and size of every complete subject by its path in the set."""
    return {
        name: {
            "status": "complete",
            "digest": attributes["content_sha256"],
            "bytes": sum(size for file, size in files.items() if file.startswith(f"{name}/")),
        }
        for name, attributes in sorted(subjects.items())
        if attributes.get("complete") is True
    }


def is_table(name: str) -> bool:
    """Whether a file of a set lies beside its subjects: which slice is for what."""
    return name.startswith(TABLES) and not is_hidden(name)


def tables(location: Location, files: dict[str, int]) -> dict[str, Any]:
    """Status, digest and size of what lies beside the subjects, as the manifest names it."""
    return {
        name: {"status": "complete", "digest": location.digest(name), "bytes": size}
        for name, size in sorted(files.items())
        if is_table(name)
    }


def noted_in_manifest(text: bytes | None) -> dict[str, Any]:
    """What a manifest names; nothing if it is missing or damaged."""
    try:
        return dict(json.loads(text or b"{}"))
    except (ValueError, TypeError):
        return {}


def manifest_text(content: dict[str, Any]) -> bytes:
    """The manifest as it is written."""
    return (json.dumps(content, indent=2) + "\n").encode()


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> str:
    """Short list of the values that differ, such as `noise.percent 10.0 -> 20.0`."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            inner = differences(before, after, f"{prefix}{key}.")
            lines += [inner] if inner else []
        elif before != after:
            lines.append(f"{prefix}{key} {before} -> {after}")
    return ", ".join(lines)
