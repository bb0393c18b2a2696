"""The files of a segmented scan: label map, and beside it what it means and what else was asked."""

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinforge.datasets.scans.scan import ImageScan, KSpaceScan
from spinforge.datasets.storage.files import readable_errors, replacing
from spinforge.models.prediction.slices import Segmentation
from spinforge.simulation.errors import SpinforgeError

_ENDINGS = {
    "description": "dseg.json",
    "labels": "dseg.nii.gz",
    "probabilities": "probseg.nii.gz",
    "entropy": "entropy.nii.gz",
    "mutual information": "mutualinformation.nii.gz",
}


def write_segmentation(
    folder: Path,
    scan: ImageScan | KSpaceScan,
    found: Segmentation,
    class_names: tuple[str, ...],
    *,
    networks: Sequence[dict[str, Any]],
) -> dict[str, Path]:
    """Write NIfTI files in the space of the scan, and last of all the JSON file that explains them.

    Each is written whole or not at all. Those of an earlier segmentation go first, the JSON file
    before all others: where there is one, everything that it names is there and belongs to it.

    Args:
        folder: Made if missing.
        scan: What was segmented; its name begins the names of the files.
        found: What came of it.
        class_names: Of the labels 0, 1, ...
        networks: What is known of each, as plain data.

    Returns:
        "labels", "description" and what was asked for -> file.

    Raises:
        SpinforgeError: If a file would replace one that the scan was read from, the disk is full
            or the folder may not be written.
    """
    check_targets(folder, scan)
    maps: dict[str, np.ndarray | None] = {
        "probabilities": found.probabilities,
        "entropy": found.entropy,
        "mutual information": found.mutual_information,
        "labels": found.labels,
    }
    targets = _targets(folder, scan.name)
    with readable_errors(folder):
        for name in ("description", *maps):
            targets[name].unlink(missing_ok=True)
    files = {}
    for name, values in maps.items():
        if values is not None:
            files[name] = targets[name]
            scan.place.write(files[name], values)
    voxel_ml = 1e-3 * float(np.prod(scan.place.spacing_mm))
    voxels = np.bincount(found.labels.ravel(), minlength=len(class_names)).tolist()
    voxels = voxels[: len(class_names)]  # behind them come those without a label
    description = {
        "classes": {str(code): name for code, name in enumerate(class_names)},
        "volumes_ml": {
            name: round(count * voxel_ml, 3)
            for name, count in zip(class_names, voxels, strict=True)
        },
        "maps": {name: path.name for name, path in files.items()},
        "networks": list(networks),
        "notes": list(found.notes),
        "spinforge_version": importlib.metadata.version("spinforge"),
    }
    files["description"] = targets["description"]
    with replacing(files["description"]) as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return files


def check_targets(folder: Path, scan: ImageScan | KSpaceScan) -> None:
    """Refuse results in the place of what they come from.

    Args:
        folder: Where results will be.
        scan: What is to be segmented.

    Raises:
        SpinforgeError: If a result would replace, or remove, a file that the scan was read from.
    """
    for target in _targets(folder, scan.name).values():
        for file in scan.files:
            if target.exists() and file.exists() and target.samefile(file):
                raise SpinforgeError(
                    f"{file} would be replaced by a result of the same name; choose another folder "
                    f"for the results"
                )


def _targets(folder: Path, name: str) -> dict[str, Path]:
    """What may be written of a scan -> file."""
    return {what: folder / f"{name}_{ending}" for what, ending in _ENDINGS.items()}
