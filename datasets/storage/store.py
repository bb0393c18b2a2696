"""The zarr v3 store: one group a subject, written whole or not at all.

Layout of a set; what a product does not make is not there:

    <dataset>.zarr/              schema, schema_version, kind, config, config_hash,
                                 attributes_sha256 (of the others)
      manifest.json              subject or table -> status, digest, bytes; rebuilt, never the truth
      kspace/<subject>/          SERANet's product
        full                     complex64 (slice, coil, ky, kx)
        coil_maps                complex64 (slice, coil, ky, kx), or one for every slice
        image_clean              complex64 (slice, ky, kx), without noise, uniform sensitivity
        target, target_soft      uint8 (slice, ky, kx) and (slice, target, ky, kx)
        noise_sigma, te, tr, wm_signal, scale    float32 (slice,)
        masks/<name>             bool (slice, ky), for validation and test
      images/<subject>/          (z, y, x): one array a contrast, float32 or uint8
        label                    uint8
        object, brain            bool: what is no air; for heads, what is brain
      longitudinal/<subject>/    one group a session, such as ses-06mo
      corrupt/<name>/<level>/<subject>/          arrays of the source, corrupted
      slices/index.parquet       of images: which slice is for what
      slices/settings.json       how it was chosen
      splits/<rule>.json         the same by group, for every rule the set knows

Every subject has as attributes its provenance and, written by this module: `sha256` of each
array's values, `content_sha256` over those, `files` with the SHA-256 of each stored file,
`complete`, and `attributes_sha256` over all of these. Digests of values do not depend on chunks,
shards, compression or place; those of files do, and so find damage in any bit.

A set lies in a folder or in an object store (`locations.py`). A subject is built in a temporary
folder, with its zarr.json last, then renamed or uploaded in this order; whatever a killed run
leaves behind is therefore never read and is removed by the next run. One process writes a set at a
time, `DatasetStore.writing`; the worker processes that it starts write different subjects.
"""

import json
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from spinforge.datasets.storage.arrays import StoredArray, array_digest, check_arrays, write_array
from spinforge.datasets.storage.locations import METADATA, LocalFolder, location_of
from spinforge.datasets.storage.metadata import (
    PLAIN_GROUP,
    command_for,
    differences,
    file_digests,
    group_metadata,
    manifest,
    manifest_text,
    noted_in_manifest,
    parents,
    parsed_attributes,
    sealed,
    stored_subjects,
    tables,
)
from spinforge.simulation.config import canonical_json, content_hash
from spinforge.simulation.errors import SpinforgeError

SCHEMA = "spinforge"
SCHEMA_VERSION = 2
MANIFEST = "manifest.json"


class DatasetStore:
    """A set, seen as the subjects of one of its groups.

    Args:
        path: Folder of the zarr store, by custom ending in .zarr, or a URL that fsspec knows,
            such as s3://bucket/set.zarr.
        group: Folder of the subjects in it: "kspace", "images", "longitudinal", or a set of
            corrupted images such as "corrupt/noise/3".
    """

    def __init__(self, path: Path | str, group: str = "kspace") -> None:
        self.location = location_of(path)
        self.path: Path | str = self.location.at("")
        self.group = group

    def within(self, group: str) -> "DatasetStore":
        """The same set, seen as the subjects of another group."""
        return DatasetStore(self.path, group)

    def writing(self) -> AbstractContextManager[None]:
        """Be the only process that writes the set, whatever the group; may be entered again.

        Raises:
            SpinforgeError: If another process writes it; says who, where and since when. One that
                was killed is succeeded.
        """
        return self.location.writer()

    # ---------------------------------------------------------------- the set as a whole

    def exists(self) -> bool:
        """Whether there is a set at this path."""
        return self.location.read(METADATA) is not None

    def attributes(self) -> dict[str, Any]:
        """Attributes of the set.

        Raises:
            SpinforgeError: If there is no set, or one of another kind or version.
        """
        metadata = self.location.read(METADATA)
        if metadata is None:
            raise SpinforgeError(
                f"{self.path} is not a Spinforge dataset. Make one with: "
                f"spinforge generate STUDY.yaml"
            )
        try:
            attributes = json.loads(metadata)["attributes"]
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
            changed = differences(json.loads(attributes["config"]), config)
            raise SpinforgeError(
                f"{self.path} was made with another configuration.\n"
                f"  its hash:   {found}\n"
                f"  this study: {wanted}\n"
                f"  different:  {changed}\n"
                f"Use another name or out folder (--set name=..., --set out=...), or replace it "
                f"with: spinforge generate STUDY.yaml --overwrite"
            )

    def create(self, config: dict[str, Any]) -> None:
        """Write the set's own attributes and groups, unless they are there already.

        Raises:
            SpinforgeError: If there is a set made with another configuration, something else is
                in the way, the disk is full or the folder cannot be written.
        """
        if self.exists():
            self.require(config)
            self.require_groups()
            return
        if self.location.is_taken():
            raise SpinforgeError(
                f"{self.path} is there, but without the zarr.json of a dataset. Delete the folder "
                f"{self.path} and run again, or choose another one with --set out=..."
            )
        attributes = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "kind": self.group,
            "config": canonical_json(config),
            "config_hash": content_hash(config),
        }
        with self.location.building("") as folder:
            (folder / METADATA).write_bytes(group_metadata(sealed(attributes)))
        self.require_groups()

    def require_groups(self) -> None:
        """Make the folders of our subjects groups, so that other readers find their way."""
        for group in (*parents(self.group), self.group):
            if self.location.read(f"{group}/{METADATA}") is None:
                self.location.write(f"{group}/{METADATA}", PLAIN_GROUP)

    def delete(self) -> None:
        """Remove the whole set; one that is half removed is never taken for a set."""
        if self.location.is_taken():
            self.attributes()  # refuses to delete a folder that is no set
            self.location.remove("")

    # ---------------------------------------------------------------- subjects

    def subject_path(self, subject: str) -> Path | str:
        """Folder or URL of one subject's group."""
        return self.location.at(f"{self.group}/{subject}")

    def subject_attributes(self, subject: str) -> dict[str, Any] | None:
        """Provenance of a complete subject, or None if there is no such one."""
        metadata = self.location.read(f"{self.group}/{subject}/{METADATA}")
        attributes = parsed_attributes(metadata)  # damaged: as if it had never been finished
        return attributes if attributes and attributes.get("complete") is True else None

    def complete_subjects(self) -> list[str]:
        """Sorted names of the subjects that were written to the end."""
        names = self.location.folders(self.group)
        return [n for n in names if n[0] != "." and self.subject_attributes(n) is not None]

    def open_subject(self, subject: str) -> zarr.Group:
        """One complete subject for reading.

        Raises:
            SpinforgeError: If it is not in the set.
        """
        if self.subject_attributes(subject) is None:
            raise SpinforgeError(
                f"{self.path} has no complete subject {subject!r}; it has "
                f"{', '.join(self.complete_subjects()) or 'none'}. Run {command_for(self.group)}"
            )
        return zarr.open_group(self.location.zarr_store(f"{self.group}/{subject}"), mode="r")

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
                f"folder and run {command_for(self.group)} to make it again."
            )
        return values

    def write_subject(
        self,
        subject: str,
        arrays: dict[str, StoredArray],
        provenance: dict[str, Any],
        *,
        slices_per_chunk: int | None = None,
    ) -> str:
        """Write one subject, whole or not at all.

        Args:
            subject: Its name.
            arrays: Name in its group -> array.
            provenance: Attributes, as plain data.
            slices_per_chunk: Slices that are compressed together, instead of each array's own
                number; the content hash does not depend on it.

        Returns:
            SHA-256 over all its arrays.

        Raises:
            SpinforgeError: If the disk is full or the place cannot be written.
            ValueError: If an axis has no name, or two axes of different lengths have the same.
        """
        check_arrays(arrays)
        self.require_groups()
        digests = {name: array_digest(array.values) for name, array in arrays.items()}
        content = content_hash(digests)
        with self.location.building(f"{self.group}/{subject}") as folder:
            group = zarr.create_group(folder, zarr_format=3, overwrite=True)
            for name, array in arrays.items():
                write_array(group, name, array, slices_per_chunk)
            (folder / METADATA).unlink()  # only what lies below is hashed; ours follows
            attributes = provenance | {
                "sha256": digests,
                "content_sha256": content,
                "files": file_digests(LocalFolder(folder)),
                "complete": True,
            }
            (folder / METADATA).write_bytes(group_metadata(sealed(attributes)))
        return content

    def remove_leftovers(self) -> list[str]:
        """Delete what killed runs left behind: temporary folders and groups without `complete`.

        Returns:
            Names of the removed folders.
        """
        # For the set, what was being made or deleted beside it; for the group, in it.
        # Corruption sets that a study no longer names are nobody's group.
        names = [f"corrupt/{name}" for name in self.location.folders("corrupt")]
        sets = [f"{name}/{strength}" for name in names for strength in self.location.folders(name)]
        leftovers = {p for group in ("", self.group, *sets) for p in self.location.abandoned(group)}
        for path in leftovers:
            shutil.rmtree(path)
        partial = [name for name in self.location.folders(self.group) if self._is_partial(name)]
        for name in partial:
            self.location.remove(f"{self.group}/{name}")
        return sorted([*(path.name for path in leftovers), *partial])

    def _is_partial(self, name: str) -> bool:
        """Whether a folder was left unfinished; one that only holds further groups was not."""
        if name[0] == "." or self.subject_attributes(name) is not None:
            return False
        return self.location.read(f"{self.group}/{name}/{METADATA}") != PLAIN_GROUP

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
        """Summarise the subjects of all groups in manifest.json, for people and scripts.

        A corrupted subject that was there and is lost stays named, so that `verify` goes on
        missing it until it is made again.
        """
        files = self.location.files("")
        content = manifest(stored_subjects(self.location, files), files)
        lost = {
            name: entry
            for name, entry in noted_in_manifest(self.location.read(MANIFEST)).items()
            if name.startswith("corrupt/") and name not in content
        }
        content = dict(sorted((content | lost).items())) | tables(self.location, files)
        self.location.write(MANIFEST, manifest_text(content))
