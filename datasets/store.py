"""The zarr v3 store: one group a subject, written whole or not at all.

Layout of a k-space set:

    <dataset>.zarr/              attributes: schema, schema_version, kind, config, config_hash
      manifest.json              subject -> status and digest; rebuilt, never the truth
      kspace/<subject>/          attributes: provenance, content_sha256, complete
        full, coil_maps, image_clean, target, target_soft, noise_sigma, te, tr, ...
        masks/<name>

A subject is written under a temporary name, marked `complete` last, then renamed; whatever a
killed run leaves behind is therefore never read and is removed by the next run.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from spinforge.datasets.arrays import StoredArray, array_digest, write_array
from spinforge.datasets.files import is_abandoned, readable_errors, replacing, sync_folder
from spinforge.simulation.config import canonical_json, content_hash
from spinforge.simulation.errors import SpinforgeError

SCHEMA = "spinforge"
SCHEMA_VERSION = 1


class DatasetStore:
    """A set on disk, seen as the subjects of one of its groups.

    Args:
        path: Folder of the zarr store, by custom ending in .zarr.
        group: Folder of the subjects in it: "kspace", "images", "longitudinal", or a set of
            corrupted images such as "corrupt/noise/3".
    """

    def __init__(self, path: Path, group: str = "kspace") -> None:
        self.path = path
        self.group = group

    def within(self, group: str) -> "DatasetStore":
        """The same set, seen as the subjects of another group."""
        return DatasetStore(self.path, group)

    # ---------------------------------------------------------------- the set as a whole

    def exists(self) -> bool:
        """Whether there is a set at this path."""
        return (self.path / "zarr.json").is_file()

    def attributes(self) -> dict[str, Any]:
        """Attributes of the set.

        Raises:
            SpinforgeError: If there is no set, or one of another kind or version.
        """
        if not self.exists():
            raise SpinforgeError(
                f"{self.path} is not a Spinforge dataset. Make one with: "
                f"spinforge generate STUDY.yaml"
            )
        try:
            attributes = json.loads((self.path / "zarr.json").read_text())["attributes"]
            found = (attributes["schema"], attributes["schema_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise SpinforgeError(
                f"{self.path}/zarr.json does not describe a Spinforge dataset ({error!r}). If this "
                f"is a damaged one, delete the folder {self.path} and run again; if it is "
                f"something else, choose another folder with --set out=..."
            ) from error
        if found != (SCHEMA, SCHEMA_VERSION):
            raise SpinforgeError(
                f"{self.path} has schema {found[0]} version {found[1]}; this version of "
                f"Spinforge reads {SCHEMA} version {SCHEMA_VERSION}. Delete the folder {self.path} "
                f"and run again, or choose another one with --set out=..."
            )
        return dict(attributes)

    def require(self, config: dict[str, Any]) -> None:
        """Check that an existing set was made with `config` (paths and workers excluded).

        Raises:
            SpinforgeError: If it was made with another one; names both hashes and the way out.
        """
        if not self.exists():
            return
        attributes = self.attributes()
        found, wanted = attributes["config_hash"], content_hash(config)
        if found != wanted:
            changed = _differences(json.loads(attributes["config"]), config)
            raise SpinforgeError(
                f"{self.path} was made with another configuration.\n"
                f"  its hash:   {found}\n"
                f"  this study: {wanted}\n"
                f"  different:  {changed}\n"
                f"Use another name or out folder (--set name=..., --set out=...), or replace it "
                f"with: spinforge generate STUDY.yaml --overwrite"
            )

    def create(self, config: dict[str, Any]) -> None:
        """Write the set's own attributes, unless they are there already.

        Raises:
            SpinforgeError: If there is a set made with another configuration, something else is
                in the way, the disk is full or the folder cannot be written.
        """
        if self.exists():
            self.require(config)
            return
        if self.path.exists():
            raise SpinforgeError(
                f"{self.path} is there, but without the zarr.json of a dataset. Delete the folder "
                f"{self.path} and run again, or choose another one with --set out=..."
            )
        with readable_errors(self.path):
            temporary = self.path.with_name(f".{self.path.name}.tmp-{os.getpid()}")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.parent.mkdir(parents=True, exist_ok=True)
            group = zarr.create_group(temporary, zarr_format=3)
            group.attrs.update(
                schema=SCHEMA,
                schema_version=SCHEMA_VERSION,
                kind=self.group,
                config=canonical_json(config),
                config_hash=content_hash(config),
            )
            group.create_group(self.group)
            sync_folder(temporary)
            temporary.rename(self.path)

    def delete(self) -> None:
        """Remove the whole set; one that is half removed is never taken for a set."""
        if self.path.exists():
            self.attributes()  # refuses to delete a folder that is no set
            doomed = self.path.with_name(f".{self.path.name}.tmp-{os.getpid()}")
            self.path.rename(doomed)
            shutil.rmtree(doomed)

    # ---------------------------------------------------------------- subjects

    def subject_path(self, subject: str) -> Path:
        """Folder of one subject's group."""
        return self.path / self.group / subject

    def subject_attributes(self, subject: str) -> dict[str, Any] | None:
        """Provenance of a complete subject, or None if there is no such one."""
        metadata = self.subject_path(subject) / "zarr.json"
        if not metadata.is_file():
            return None
        try:
            attributes = json.loads(metadata.read_text())["attributes"]
            return dict(attributes) if attributes["complete"] is True else None
        except (ValueError, LookupError, TypeError):
            return None  # damaged: as if it had never been finished

    def complete_subjects(self) -> list[str]:
        """Sorted names of the subjects that were written to the end."""
        folder = self.path / self.group
        names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        return [n for n in names if n[0] != "." and self.subject_attributes(n) is not None]

    def open_subject(self, subject: str) -> zarr.Group:
        """One complete subject for reading.

        Raises:
            SpinforgeError: If it is not in the set.
        """
        if self.subject_attributes(subject) is None:
            raise SpinforgeError(
                f"{self.path} has no complete subject {subject!r}; it has "
                f"{', '.join(self.complete_subjects()) or 'none'}. Run: spinforge generate"
            )
        return zarr.open_group(self.subject_path(subject), mode="r")

    def read(self, subject: str, name: str) -> NDArray[Any]:
        """One whole array of a complete subject, such as "target" or "masks/fixed".

        Checked against the digest noted when it was written: a missing chunk would otherwise
        read as zeros.

        Raises:
            SpinforgeError: If the subject or the array is not in the set, or it is damaged.
        """
        try:
            array = self.open_subject(subject).get(name)
            values = np.asarray(array[...]) if isinstance(array, zarr.Array) else None
        except (ValueError, TypeError, LookupError, OSError, RuntimeError):
            values = None  # whatever zarr makes of a damaged header or chunk
        noted = (self.subject_attributes(subject) or {})["sha256"].get(name)
        if values is None or array_digest(values) != noted:
            raise SpinforgeError(
                f"{self.subject_path(subject)}: array {name!r} is missing or damaged. Delete this "
                f"folder and run `spinforge generate` to make it again."
            )
        return values

    def write_subject(
        self, subject: str, arrays: dict[str, StoredArray], provenance: dict[str, Any]
    ) -> str:
        """Write one subject atomically.

        Returns:
            SHA-256 over all its arrays.

        Raises:
            SpinforgeError: If the disk is full or the folder cannot be written.
        """
        final = self.subject_path(subject)
        temporary = final.with_name(f".{subject}.tmp-{os.getpid()}")
        digests = {name: array_digest(array.values) for name, array in arrays.items()}
        content = content_hash(digests)
        try:
            with readable_errors(final):
                shutil.rmtree(temporary, ignore_errors=True)
                group = zarr.create_group(temporary, zarr_format=3)
                for name, array in arrays.items():
                    write_array(group, name, array)
                attributes = {"sha256": digests, "content_sha256": content, "complete": True}
                group.attrs.update(provenance | attributes)
                # The data must be on the disk before the name that says so is.
                sync_folder(temporary)
                if final.exists():
                    shutil.rmtree(final)
                temporary.rename(final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return content

    def remove_leftovers(self) -> list[str]:
        """Delete what killed runs left behind: temporary folders and groups without `complete`.

        Returns:
            Names of the removed folders.
        """
        inside = self.path / self.group
        subjects = [p for p in inside.iterdir() if p.is_dir()] if inside.is_dir() else []
        beside = [*self.path.parent.glob(f".{self.path.name}.tmp-*")]
        leftovers = [p for p in (*subjects, *beside) if is_abandoned(p)]
        leftovers += [p for p in subjects if self._is_partial(p.name)]
        for path in leftovers:
            shutil.rmtree(path)
        return sorted(p.name for p in leftovers)

    def _is_partial(self, name: str) -> bool:
        return name[0] != "." and self.subject_attributes(name) is None

    # ---------------------------------------------------------------- digests

    def digest(self, subjects: list[str]) -> str:
        """SHA-256 over the content hashes of the given subjects, in sorted order.

        Raises:
            SpinforgeError: If one is missing.
        """
        parts = {}
        for subject in sorted(subjects):
            self.open_subject(subject)
            attributes = self.subject_attributes(subject)
            parts[subject] = attributes["content_sha256"] if attributes else None
        return content_hash(parts)

    def write_manifest(self) -> None:
        """Summarise the subjects in manifest.json, for people and scripts."""
        manifest = {}
        for subject in self.complete_subjects():
            files = [p for p in self.subject_path(subject).rglob("*") if p.is_file()]
            attributes = self.subject_attributes(subject) or {}
            manifest[subject] = {
                "status": "complete",
                "digest": attributes["content_sha256"],
                "bytes": sum(p.stat().st_size for p in files),
            }
        with replacing(self.path / "manifest.json") as temporary:
            temporary.write_text(json.dumps(manifest, indent=2) + "\n")


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> str:
    """Short list of the values that differ, such as `noise.percent 10.0 -> 20.0`."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            inner = _differences(before, after, f"{prefix}{key}.")
            lines += [inner] if inner else []
        elif before != after:
            lines.append(f"{prefix}{key} {before} -> {after}")
    return ", ".join(lines)
