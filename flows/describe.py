"""Answers of `spinforge info`: a study's plan, a dataset's content, this machine."""

import importlib.metadata
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.making import split_of
from spinforge.datasets.store import DatasetStore
from spinforge.flows.config import Study
from spinforge.flows.preflight import disk_needed, missing_subjects
from spinforge.flows.run_folder import RunFolder
from spinforge.models.networks import build_network, count_parameters
from spinforge.simulation.tissue import TARGET_NAMES

_PACKAGES = ("torch", "lightning", "zarr", "prefect", "mlflow", "pydantic", "numpy")


def study(study: Study) -> dict[str, Any]:
    """What a study would do and what of it is there already."""
    folder = RunFolder.of(study)
    maker_of(study.data).check_settings()
    split = split_of(study.data)
    folder.store.require(study.data.recipe())
    missing = missing_subjects(study)
    done = len(split.everyone) - len(missing)
    plan: dict[str, Any] = {
        "name": study.name,
        "folder": str(folder.path),
        "product": study.data.product,
        "config_hash": study.data.config_hash,
        "subjects": split.model_dump(mode="json"),
        "simulated": f"{done} of {len(split.everyone)}",
        "disk_needed_mib": round(disk_needed(study, missing) / 2**20),
    }
    if not isinstance(study.data, KSpaceProduct):
        return plan
    return plan | {
        "parameters": {
            network.name: count_parameters(
                build_network(network, in_channels=2, n_classes=len(TARGET_NAMES), seed=study.seed)
            )
            for network in study.networks
        },
        "epochs": study.training.epochs,
    }


def dataset(path: Path | str) -> dict[str, Any]:
    """What a dataset holds."""
    store = DatasetStore(path)
    attributes = store.attributes()
    subjects = store.complete_subjects()
    return {
        "path": str(path),
        "kind": attributes["kind"],
        "schema_version": attributes["schema_version"],
        "config_hash": attributes["config_hash"],
        "config": json.loads(attributes["config"]),
        "subjects": subjects,
        "slices": sum(len(store.read(s, "te")) for s in subjects),
        "digest": store.digest(subjects),
    }


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
