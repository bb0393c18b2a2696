"""Everything that can be known to fail is found here, before any work starts."""

import os
import shutil
from pathlib import Path

from spinforge.datasets.products.kspace import check_product, expected_bytes, is_done, split_of
from spinforge.flows.config import Study
from spinforge.flows.run_folder import RunFolder
from spinforge.models.devices import device_of
from spinforge.models.networks import build_network, count_parameters
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.tissue import TARGET_NAMES

# The rights of the user the process acts for, where the system can tell.
_EFFECTIVE = os.access in os.supports_effective_ids


def check_study(study: Study, *, overwrite: bool = False) -> None:
    """Check files, folder, device, existing data and disk space; writes nothing.

    Args:
        study: What is about to run.
        overwrite: An existing set will be replaced, so it need not match.

    Raises:
        SpinforgeError: With the first problem found and what to do about it.
    """
    folder = RunFolder.of(study)
    _check_writable(folder.path)
    device_of(study.training)
    missing = split_of(study.data).everyone
    if not study.data.download:  # what is downloaded is checked when it is there
        check_product(study.data)
        if not overwrite:
            folder.store.require(study.data.recipe())
            missing = [s for s in missing if not is_done(study.data, folder.store, s)]
    _check_space(folder.path, len(missing) * expected_bytes(study.data) + _checkpoint_bytes(study))


def _checkpoint_bytes(study: Study) -> int:
    """Upper bound of what training writes: weights, two moments of Adam, best weights, model."""
    parameters = sum(
        count_parameters(
            build_network(network, in_channels=2, n_classes=len(TARGET_NAMES), seed=study.seed)
        )
        for network in study.networks
    )
    return 6 * 4 * parameters


def _check_writable(path: Path) -> None:
    existing = _nearest_existing(path)
    if not existing.is_dir():
        raise SpinforgeError(
            f"{existing} is a file, so {path} cannot be a folder. Choose another one with "
            f"--set out=..."
        )
    if not os.access(existing, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
        raise SpinforgeError(
            f"no permission to write {path}: {existing} is not writable. Change its rights or "
            f"choose another folder with --set out=..."
        )


def _check_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(_nearest_existing(path)).free
    if needed > free:
        raise SpinforgeError(
            f"the disk is full: {path} needs up to {needed / 2**20:.0f} MiB, but only "
            f"{free / 2**20:.0f} MiB are free. Free some space or choose another disk with "
            f"--set out=..."
        )


def _nearest_existing(path: Path) -> Path:
    """The path itself or the first folder above it that we can see."""
    path = path.absolute()
    while not os.path.exists(path):  # Path.exists raises where we may not look
        path = path.parent
    return path
