"""The files of a segmented scan: label map, and beside it what it means and what else was asked."""

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinforge.datasets.scans.scan import ImageScan, KSpaceScan
from spinforge.datasets.storage.files import replacing
from spinforge.models.prediction.slices import Segmentation


def write_segmentation(
    folder: Path,
    scan: ImageScan | KSpaceScan,
    found: Segmentation,
    class_names: tuple[str, ...],
    *,
    networks: Sequence[dict[str, Any]],
) -> dict[str, Path]:
    """Write NIfTI files in the space of the scan, and last of all the JSON file that explains them.

    Each is written whole or not at all; those of an earlier segmentation are replaced.

    Args:
        folder: Made if missing.
        scan: What was segmented; its name begins the names of the files.
        found: What came of it.
        class_names: Of the labels 0, 1, ...
        networks: What is known of each, as plain data.

    Returns:
        "labels", "description" and what was asked for -> file.

    Raises:
        SpinforgeError: If the disk is full or the folder may not be written.
    """
    maps: dict[str, tuple[str, np.ndarray | None]] = {
        "probabilities": ("probseg", found.probabilities),
        "entropy": ("entropy", found.entropy),
        "mutual information": ("mutualinformation", found.mutual_information),
        "labels": ("dseg", found.labels),
    }
    files = {}
    for name, (suffix, values) in maps.items():
        if values is not None:
            files[name] = folder / f"{scan.name}_{suffix}.nii.gz"
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
    files["description"] = folder / f"{scan.name}_dseg.json"
    with replacing(files["description"]) as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return files
