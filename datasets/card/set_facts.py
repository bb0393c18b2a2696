"""Words and numbers of a data card, from what is stored alone."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinforge.datasets.card.content import CardTable
from spinforge.datasets.card.sources import REFERENCES, anatomy, citation_of
from spinforge.datasets.reading.groups import no_subjects
from spinforge.datasets.reading.stored_volumes import LABEL_NAMES
from spinforge.datasets.splits import Split, roles
from spinforge.datasets.storage.metadata import manifest, stored_subjects
from spinforge.datasets.storage.store import DatasetStore
from spinforge.datasets.volumes import IGNORE

ABOUT = {
    "kspace": "Raw data of simulated multi-slice MRI: complex, fully sampled k-space, with "
    "sampling masks and the true label of every voxel.",
    "images": "Labelled images, whole volumes: what is cropped, stripped or sliced for training is "
    "so when they are read.",
    "longitudinal": "Labelled images of the same subjects at several ages.",
}
"""By the group of the clean subjects."""


@dataclass(frozen=True)
class Counted:
    """One subject in numbers.

    Attributes:
        attributes: Its provenance.
        labels: Label -> number of voxels; empty without labels.
        slices: Number of slices, all ages together.
        size: Bytes on disk.
    """

    attributes: dict[str, Any]
    labels: Counter[int]
    slices: int
    size: int


def count_subjects(store: DatasetStore) -> dict[str, Counted]:
    """Read the labels of every complete subject.

    Raises:
        SpinforgeError: If the set has none, or one is damaged.
    """
    files = store.location.files("")
    sizes = manifest(stored_subjects(store.location, files), files)
    counted = {}
    for subject in store.complete_subjects():
        attributes = store.subject_attributes(subject) or {}
        arrays = list(attributes["sha256"])
        names = [n for n in arrays if n.rpartition("/")[2] in LABEL_NAMES]
        labels: Counter[int] = Counter()
        slices = 0
        for name in names:
            values = store.read(subject, name)
            slices += len(values)
            counts = np.bincount(values.reshape(-1), minlength=1)
            labels.update({code: int(n) for code, n in enumerate(counts) if n})
        size = sizes[f"{store.group}/{subject}"]["bytes"]
        counted[subject] = Counted(attributes, labels, slices, size)
    if not counted:
        raise no_subjects(store)
    return counted


def classes_of(counted: Mapping[str, Counted]) -> tuple[str, ...]:
    """Names of the labels, the background first; none if they have no names."""
    first = next(iter(counted.values())).attributes
    return tuple(first.get("classes") or first.get("targets") or ())


def is_photograph(attributes: dict[str, Any]) -> bool:
    """Whether a subject's contrasts are the three colours of photographs."""
    return set(attributes.get("contrasts") or ()) == {"red", "green", "blue"}


def set_facts(
    store: DatasetStore, counted: Mapping[str, Counted], split: Split | None, corrupted: int
) -> dict[str, dict[str, str]]:
    """Content, subjects, provenance, terms and size.

    Args:
        store: The set.
        counted: Of `count_subjects`.
        split: Who trains, validates and tests, if that is known.
        corrupted: Bytes of corrupted images in the set.
    """
    first = next(iter(counted.values())).attributes
    phantoms = [c.attributes["phantom"] for c in counted.values()]
    z, y, x = first["spacing_mm"]
    clean = sum(c.size for c in counted.values())
    commits = sorted({str(c.attributes["code"]["commit"])[:12] for c in counted.values()})
    dirty = any(c.attributes["code"]["dirty"] for c in counted.values())
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    verified = all(c.attributes.get("orientation_verified", False) for c in counted.values())
    contrasts = first.get("contrasts")
    config = json.loads(store.attributes()["config"])
    content = {
        "product": str(config.get("product", store.group)),
        "subjects": str(len(counted)),
        "slices": str(sum(c.slices for c in counted.values())),
    }
    if not is_photograph(first):
        content["voxel"] = f"{x:g} x {y:g} x {z:g} mm (x, y, z)"
        content["left and right"] = "verified" if verified else "not verified: may be mirrored"
    if contrasts:
        content["contrasts"] = ", ".join(contrasts)
    how = _scan(config) if store.group == "kspace" else _sequences(first)
    return {
        "Content": content,
        **({"Scan": how} if how else {}),
        "Split": _groups(split, counted),
        "Size": {
            "clean": _size(clean),
            **({"corrupted": _size(corrupted)} if corrupted else {}),
            "a subject": f"{_size(clean // len(counted))} on average",
        },
        "Source and terms": {
            "anatomy": ", ".join(sorted({anatomy(phantom) for phantom in phantoms})),
            "citation": " ".join(sorted({citation_of(phantom) for phantom in phantoms})),
        },
        "Provenance": {
            "content sha256": store.digest(list(counted)),
            "config sha256": str(store.attributes()["config_hash"]),
            "seed": str(first["root_seed"]),
            "random numbers": str(first["rng_scheme"]),
            "code": ", ".join(commits) + (" with uncommitted changes" if dirty else ""),
            "versions": versions,
        },
    }


def _scan(config: dict[str, Any]) -> dict[str, str]:
    """How k-space was made, in a few words; the settings have the rest."""
    scan, scanner, noise, lines = (config[k] for k in ("scan", "scanner", "noise", "sampling"))
    is_early = scan["kind"] == "dual_echo" and scan["echo"] == "early"
    echo_ms = scan["early_te_ms" if is_early else "te_ms"]
    kept = ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in lines.items()
        if key != "kind"
    )
    return {
        "sequence": f"{scan['kind'].replace('_', ' ')}, TR {scan['tr_ms']:g} ms, TE "
        f"{echo_ms:g} ms, each subject within {100 * scan['variation']:g} %",
        "scanner": f"profile {scanner['profile']}, tissues {scanner['tissue_set']}, "
        f"{scanner['coils']} coil{'s' if scanner['coils'] > 1 else ''}",
        "noise": f"{noise['percent']:g} % of {REFERENCES[noise['reference']]}, in each of the real "
        f"and imaginary channel",
        "lines of the stored masks": f"{lines['kind']}: {kept}",
    }


def _sequences(attributes: dict[str, Any]) -> dict[str, str]:
    """How each contrast was acquired, where that is noted."""
    sequences = attributes.get("parameters", {}).get("sequences", {})
    return {
        contrast: ", ".join(
            [str(settings["kind"]).replace("_", " ")]
            + [f"{name} {value}" for name, value in settings.items() if name != "kind"]
        )
        for contrast, settings in sequences.items()
    }


def _groups(split: Split | None, counted: Mapping[str, Counted]) -> dict[str, str]:
    if split is None:
        return {"groups": "not noted in the set; the study that made it says"}
    members_of: dict[str, list[str]] = {}
    for subject, role in roles(split).items():
        members_of.setdefault(role, []).append(subject)
    return {
        role: f"{', '.join(members)} ({sum(counted[m].slices for m in members)} slices)"
        for role, members in members_of.items()
        if all(member in counted for member in members)
    }


def balance_table(counted: Mapping[str, Counted], classes: tuple[str, ...]) -> CardTable:
    """Voxels of every class, and in how many subjects it is."""
    total: Counter[int] = Counter()
    for one in counted.values():
        total.update(one.labels)
    labelled = sum(n for code, n in total.items() if code != IGNORE)
    names = dict(enumerate(classes)) | ({IGNORE: "unlabelled"} if IGNORE in total else {})
    rows = []
    for code in sorted(names.keys() | total.keys()):
        within = sum(code in one.labels for one in counted.values())
        share = "" if code == IGNORE else f"{100 * total[code] / max(1, labelled):.2f} %"
        label = names.get(code, f"label {code}")
        rows.append([label, str(code), f"{total[code]:,}".replace(",", " "), share, str(within)])
    return CardTable(
        "Class balance: share of the labelled voxels.",
        ["Class", "label", "voxels", "share", "subjects"],
        rows,
    )


def subject_table(counted: Mapping[str, Counted], split: Split | None) -> CardTable:
    """One row a subject, with the hash that identifies its bytes."""
    groups = roles(split) if split else {}
    rows = [
        [
            subject,
            groups.get(subject, ""),
            str(one.slices),
            _size(one.size),
            str(one.attributes["content_sha256"]),
        ]
        for subject, one in counted.items()
    ]
    return CardTable(
        "Subjects and the SHA-256 of their arrays.",
        ["Subject", "group", "slices", "size", "content sha256"],
        rows,
    )


def settings(store: DatasetStore) -> dict[str, str]:
    """Everything that shaped the bytes, dotted name -> value."""
    return dict(_flat(json.loads(store.attributes()["config"])))


def _flat(values: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(values, dict) and values:
        return [
            row
            for key in values
            for row in _flat(values[key], f"{prefix}.{key}" if prefix else key)
        ]
    return [(prefix, values if isinstance(values, str) else json.dumps(values))]


def _size(count: int) -> str:
    """Bytes as a person says them."""
    for unit, power in (("GiB", 30), ("MiB", 20)):
        if count >= 2**power:
            return f"{count / 2**power:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"
