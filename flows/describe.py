"""Answers of `spinforge info`: a study's plan, a dataset's content, this machine."""

import importlib.metadata
import json
import math
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import zarr

from spinforge.datasets.corruption.sets import sets_in
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.making import split_of
from spinforge.datasets.products.slice_index import INDEX, read_slice_index
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.config import Study
from spinforge.flows.preflight import disk_needed, missing_subjects, network_of_study
from spinforge.flows.run_folder import RunFolder
from spinforge.models.networks import count_parameters
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError

_PACKAGES = ("torch", "lightning", "zarr", "prefect", "mlflow", "pydantic", "numpy")


def study(study: Study) -> dict[str, Any]:
    """What a study would do and what of it is there already."""
    folder = RunFolder.of(study)
    maker_of(study.data).check_settings()
    split = split_of(study.data)
    folder.store.require(study.data.recipe())
    missing = missing_subjects(study)
    done = len(split.everyone) - len(missing)
    return {
        "name": study.name,
        "folder": str(folder.path),
        "product": study.data.product,
        "config_hash": study.data.config_hash,
        "subjects": split.model_dump(mode="json"),
        "simulated": f"{done} of {len(split.everyone)}",
        "disk_needed_mib": round(disk_needed(study, missing) / 2**20),
        "parameters": {
            network.name: count_parameters(network_of_study(network, study.data))
            for network in study.networks
        },
        "epochs": study.training.epochs,
        "steps": study.training.steps,
    }


def dataset(path: Path | str) -> dict[str, Any]:
    """What a dataset holds."""
    attributes = DatasetStore(path).attributes()
    store = DatasetStore(path, str(attributes["kind"]))
    subjects = store.complete_subjects()
    groups = [f"corrupt/{name}/{s}" for name, all_s in sets_in(store).items() for s in all_s]
    corrupted = {
        group: store.within(group).digest(store.within(group).complete_subjects())
        for group in groups
    }
    return {
        "path": str(path),
        "kind": attributes["kind"],
        "schema_version": attributes["schema_version"],
        "config_hash": attributes["config_hash"],
        "config": json.loads(attributes["config"]),
        "subjects": subjects,
        "slices": sum(_slices(store, subject) for subject in subjects),
        "slices_used": _slices_used(store),
        "digest": store.digest(subjects),
        "corrupted_sets": len(corrupted),
        "corruption_digest": content_hash(corrupted) if corrupted else None,
    }


def _slices(store: DatasetStore, subject: str) -> int:
    """Slices of one subject, all its ages together.

    Raises:
        SpinforgeError: If it has no labels.
    """
    group = store.open_subject(subject)
    # Of a series, has_label has one value for each age and slice.
    there = (group[name] for name in ("has_label", "target", "label") if name in group)
    label = next(there, None)
    if not isinstance(label, zarr.Array):
        raise SpinforgeError(
            f"{store.subject_path(subject)} has no labels: it is damaged, or of another kind. "
            f"Run: spinforge verify {store.path}"
        )
    return math.prod(label.shape) if store.group == "longitudinal" else label.shape[0]


def _slices_used(store: DatasetStore) -> dict[str, int] | None:
    """Slices that train, validate and test, where a table says so."""
    if store.location.read(INDEX) is None:
        return None
    counts = read_slice_index(store)["split"].value_counts()
    return {str(name): int(count) for name, count in counts.items()}


def machine() -> dict[str, Any]:
    """Versions and hardware."""
    import torch
    from prefect.settings import PREFECT_API_URL

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "spinforge": importlib.metadata.version("spinforge"),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "cpus": os.cpu_count(),
        "gpu": gpu,
        "free_disk_mib": shutil.disk_usage(Path.cwd()).free // 2**20,
        "mlflow": "SQLite file in the out folder, unless a study sets tracking.uri",
        "prefect": PREFECT_API_URL.value() or "temporary server",
    }
