"""A set as NIfTI files in the Brain Imaging Data Structure, labels as derivatives."""

import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spinforge.datasets.export.bids_names import sidecar, subject_labels, suffix_of
from spinforge.datasets.export.nifti_file import write_nifti
from spinforge.datasets.reading.groups import no_subjects
from spinforge.datasets.reading.origin import Origin, origin_of
from spinforge.datasets.reading.stored_volumes import StoredVolume, stored_volumes
from spinforge.datasets.reading.subject_reader import SubjectReader
from spinforge.datasets.splits import AT_OTHER_AGES, roles
from spinforge.datasets.storage.files import replacing
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE
from spinforge.simulation.errors import SpinforgeError

BIDS_VERSION = "1.10.0"
DERIVATIVE = "simseg"
"""Name of the derivative with the segmentations."""

_README = """# {name}

{images}{corrupted}

Configuration {config_hash}. The axes of every volume point to right, anterior and superior.
`derivatives/{derivative}` has the label of each voxel (`dseg`): {labels}, {detail}.{soft}{mirrored}
"""
_CORRUPTED = " Spinforge corrupted them ({group})."
_SOFT = " How much of each class a voxel holds is in `probseg`."
_MIRRORED = """

Left and right of these subjects have not been verified: they may be mirrored."""


def write_bids(
    store: DatasetStore, root: Path, *, groups: Mapping[str, tuple[str, ...]] | None = None
) -> Iterator[Path]:
    """Write every complete subject of a set; the same set gives the same bytes.

    Args:
        store: The set, or a group of corrupted images in it.
        root: A new or empty folder.
        groups: "train", "validation", "test" -> subjects, for participants.tsv.

    Yields:
        Every image file as soon as it is written.

    Raises:
        SpinforgeError: If the folder is not empty, or BIDS has no name for what the set holds.
    """
    subjects = store.complete_subjects()
    labels = subject_labels(subjects)
    if not subjects:
        raise no_subjects(store)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise SpinforgeError(f"{root} is not an empty folder. Choose a new one with --to")
    segmentations = root / "derivatives" / DERIVATIVE
    classes: tuple[str, ...] = ()
    for subject in subjects:
        for stored in stored_volumes(store, subject):
            classes = classes or stored.classes
            yield from _write_images(stored, root, labels[subject])
            yield from _write_labels(stored, segmentations, labels[subject])
    _describe(store, root, labels, groups or {})
    if segmentations.is_dir():
        origin = origin_of(SubjectReader(store, subjects[0]).attributes)
        _describe_labels(store, segmentations, classes, origin)


def _stem(stored: StoredVolume, root: Path, label: str) -> Path:
    """Folder of a volume's files and what all their names begin with."""
    session = f"ses-{stored.session}" if stored.session else ""
    folder = root / f"sub-{label}" / session / "anat"
    return folder / "_".join(part for part in (f"sub-{label}", session) if part)


def _write_images(stored: StoredVolume, root: Path, label: str) -> Iterator[Path]:
    stem = _stem(stored, root, label)
    for contrast, values in stored.volume.contrasts.items():
        name = f"{stem.name}_{suffix_of(stored, contrast)}"
        write_nifti(stem.with_name(f"{name}.nii.gz"), values, stored.volume.affine)
        _write_json(stem.with_name(f"{name}.json"), sidecar(stored, contrast))
        yield stem.with_name(f"{name}.nii.gz")


def _write_labels(stored: StoredVolume, root: Path, label: str) -> Iterator[Path]:
    stem, volume = _stem(stored, root, label), stored.volume
    volumes: dict[str, Any] = {} if volume.labels is None else {"dseg": volume.labels}
    inside = {name: soft for name, soft in stored.memberships.items() if name != stored.classes[0]}
    volumes |= {f"label-{name}_probseg": soft for name, soft in inside.items()}
    for name, values in volumes.items():
        path = stem.with_name(f"{stem.name}_{name}.nii.gz")
        write_nifti(path, values, volume.affine)
        yield path


def _describe(
    store: DatasetStore,
    root: Path,
    labels: Mapping[str, str],
    groups: Mapping[str, tuple[str, ...]],
) -> None:
    """The files at the top of the tree."""
    of_set = store.attributes()
    name = f"{_name(store)}: {store.group}"
    role = roles(groups.items())
    # A corrupted subject does not repeat all that is known of the clean one.
    known = [SubjectReader(store, subject).attributes for subject in labels]
    verified = all(attributes.get("orientation_verified", True) for attributes in known)
    origin = origin_of(known[0])  # a set has one source
    _write_json(root / "dataset_description.json", _description(name, "raw"))
    has_soft = any(root.rglob("*_probseg.nii.gz"))
    readme = _README.format(
        name=name,
        images=origin.images,
        corrupted="" if store.group == of_set["kind"] else _CORRUPTED.format(group=store.group),
        labels=origin.labels,
        detail=origin.labels_detail,
        soft=_SOFT if has_soft else "",
        config_hash=of_set["config_hash"],
        derivative=DERIVATIVE,
        mirrored="" if verified else _MIRRORED,
    )
    _write_text(root / "README.md", readme)
    rows = [f"sub-{labels[s]}\t{s}\t{role.get(s, 'n/a')}" for s in sorted(labels)]
    header = "participant_id\tspinforge_subject\tgroup"
    _write_text(root / "participants.tsv", "\n".join([header, *rows]) + "\n")
    _write_json(
        root / "participants.json",
        {
            "spinforge_subject": {"Description": "name of the subject in the Spinforge set"},
            "group": {
                "Description": "what the subject is for",
                "Levels": {
                    "train": "networks are trained on it",
                    "validation": "picks the best network",
                    "test": "judges the networks",
                    AT_OTHER_AGES: "networks are trained on it at some ages, judged at others",
                },
            },
        },
    )


def _describe_labels(
    store: DatasetStore, root: Path, classes: tuple[str, ...], origin: Origin
) -> None:
    _write_json(
        root / "dataset_description.json",
        _description(f"{_name(store)}: {origin.labels}", "derivative")
        | {"SourceDatasets": [{"URL": "../.."}]},
    )
    rows = [f"{code}\t{name}" for code, name in enumerate(classes)] + [f"{IGNORE}\tunlabelled"]
    _write_text(root / "dseg.tsv", "\n".join(["index\tname", *rows]) + "\n")
    # These hold for every file below.
    described = {
        "Description": f"{origin.labels}: {origin.labels_detail}",
        "SpatialReference": "orig",
    }
    _write_json(root / "dseg.json", described)
    if any(root.rglob("*_probseg.nii.gz")):
        _write_json(root / "probseg.json", described)
    readme = (
        f"# {origin.labels.capitalize()} of every voxel\n\nThey are {origin.labels_detail}. "
        f"Classes are in dseg.tsv.\n"
    )
    _write_text(root / "README.md", readme)


def _description(name: str, kind: str) -> dict[str, Any]:
    return {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": kind,
        "GeneratedBy": [{"Name": "Spinforge", "Version": importlib.metadata.version("spinforge")}],
    }


def _name(store: DatasetStore) -> str:
    """Last part of the set's path or URL."""
    return str(store.path).rstrip("/").rpartition("/")[2]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    _write_text(path, json.dumps(content, indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
