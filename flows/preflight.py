"""Everything that can be known to fail is found here, before any work starts."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn

from spinforge.datasets.products.catalogue import Product, maker_of
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.making import check_slices, is_done, split_of
from spinforge.flows.config import Study
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import (
    is_trained,
    require_trained,
    require_variants,
    select_networks,
)
from spinforge.models.networks import (
    KSpaceNetwork,
    NetworkConfig,
    output_classes,
    weightless_network,
)
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.training.possible import require_possible
from spinforge.models.training.product_slices import channels_and_classes, check_trainable
from spinforge.models.training.stages import training_stages
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.slices import matrix_size

# The rights of the user the process acts for, where the system can tell.
_EFFECTIVE = os.access in os.supports_effective_ids

_DATASET = "--set dataset=..."


def check_study(
    study: Study, *, overwrite: bool = False, trains: bool = True, only: str | None = None
) -> None:
    """Check files, folder, device, existing data and disk space; writes nothing.

    Args:
        study: What is about to run.
        overwrite: An existing set will be replaced, so it need not match.
        trains: Its networks are trained: they must fit the product, find room on the disk, and
            this machine must be able to train those that are not trained yet.
        only: Name of the one network that is trained; all of them by default.

    Raises:
        SpinforgeError: With the first problem found and what to do about it.
    """
    folder = RunFolder.of(study)
    chosen = select_networks(study, only) if trains else ()
    if trains:
        check_trainable(study.data, study.networks, study.training)
    check_writing(study)
    maker_of(study.data).check()
    if trains and (study.train_on or study.test_on):
        require_variants(study, ("train", "validation", "test"))
    missing = split_of(study.data).everyone
    if not overwrite:
        folder.store.require(study.data.recipe())
        check_slices(study.data, folder.store)
        missing = missing_subjects(study)
    waiting = _untrained(study, chosen, missing)
    if waiting:
        require_possible(study.training)
    if trains:
        _check_networks(study)
    check_disks(folder, _data_bytes(study, missing), _network_bytes(study, waiting))


def check_evaluation(study: Study, only: str | None = None) -> None:
    """Check that networks can be scored, wherever they were trained; writes nothing.

    Args:
        study: What is about to be evaluated.
        only: Name of the one network; all of them by default.

    Raises:
        SpinforgeError: With the first problem found and what to do about it.
    """
    chosen = select_networks(study, only)
    check_writing(study)
    require_variants(study, ("test",))
    require_trained(study, chosen)


def check_writing(study: Study) -> None:
    """Check that folder, set and record may be written; writes nothing."""
    check_folders(RunFolder.of(study))
    if study.tracking.uri is None:
        _check_record(study.out)


def network_of_study(network: NetworkConfig, product: Product) -> nn.Module:
    """Network for a product's slices and classes, without the memory of its weights.

    Raises:
        SpinforgeError: If it needs an extra that is not installed.
    """
    channels, classes = channels_and_classes(product)
    return weightless_network(
        network, in_channels=channels, n_classes=output_classes(network, classes)
    )


def _check_networks(study: Study) -> None:
    """Check that each network can be built and is not too deep for the study's slices.

    How large slices of images are, only their files say; `check_fits` looks at them.
    """
    if not isinstance(study.data, KSpaceProduct):
        for network in study.networks:
            network_of_study(network, study.data)
        return
    rows, columns, _ = matrix_size(float(study.data.spacing_mm))
    image = torch.empty(1, 2, rows, columns, device="meta")
    lines = torch.empty(1, rows, device="meta", dtype=torch.bool)
    measured = Measurement(torch.empty_like(image[:, :1], dtype=torch.complex64), lines)
    for network in study.networks:
        try:
            slices = measured if isinstance(network, KSpaceNetwork) else image
            network_of_study(network, study.data).eval()(slices)
        except SpinforgeError as error:
            raise SpinforgeError(f"network {network.name!r}: {error}") from None


def _check_record(out: Path) -> None:
    """MLflow's record lies beside the runs' folders and is written to all the time."""
    for path in (out, out / "mlflow.db", out / "mlartifacts"):
        if path.exists() and not os.access(path, os.W_OK, effective_ids=_EFFECTIVE):
            raise SpinforgeError(
                f"no permission to write {path}, where MLflow's record lies. Change its rights or "
                f"choose another folder with --set out=..."
            )


def missing_subjects(study: Study) -> list[str]:
    """Subjects that are not in the study's set yet.

    Raises:
        SpinforgeError: If one is there but was made from something else.
    """
    store, later = RunFolder.of(study).store, maker_of(study.data).pending_downloads()
    everyone = split_of(study.data).everyone
    return [s for s in everyone if s in later or not is_done(study.data, store, s)]


def disk_needed(study: Study, missing: list[str]) -> int:
    """Upper bound of the bytes that the study will write, at the moment when it is most.

    Args:
        study: What is about to run.
        missing: Subjects that are not in its set yet.
    """
    return _data_bytes(study, missing) + _network_bytes(
        study, _untrained(study, study.networks, missing)
    )


def _data_bytes(study: Study, missing: list[str]) -> int:
    return len(missing) * maker_of(study.data).expected_bytes()


def _untrained(
    study: Study, networks: Iterable[NetworkConfig], missing: Sequence[str]
) -> list[NetworkConfig]:
    """Those that are still to be trained: all of them as long as subjects are missing."""
    return [network for network in networks if missing or not is_trained(study, network)]


def _network_bytes(study: Study, waiting: list[NetworkConfig]) -> int:
    sizes = {network.name: _weight_bytes(network, study.data) for network in waiting}
    # Each network keeps its file and MLflow's copy of that, and for each stage its checkpoint
    # (weights, two moments of Adam, best weights) and, but for the last, the weights it ended
    # with; a checkpoint is there twice while it is replaced.
    kept = sum(sizes[network.name] * (1 + 5 * len(training_stages(network))) for network in waiting)
    return kept + 4 * max(sizes.values(), default=0)


def _weight_bytes(network: NetworkConfig, product: Product) -> int:
    weights = network_of_study(network, product).state_dict().values()
    return sum(values.nbytes for values in weights)


def check_folders(folder: RunFolder) -> None:
    """Check that the run's folder and the place of its set may be written; writes nothing.

    What goes to an object store is built in the system's folder of temporary files first. What
    the store itself permits is not asked.

    Raises:
        SpinforgeError: If a file is in the way or rights are missing.
    """
    check_writable(folder.path)
    place = folder.store.path
    if not isinstance(place, Path):
        check_writable(Path(tempfile.gettempdir()), "TMPDIR=...")
    elif not place.is_relative_to(folder.path):
        check_writable(place, _DATASET)


def check_disks(folder: RunFolder, data: int, networks: int = 0) -> None:
    """Check that each disk has room for what will lie on it.

    Args:
        folder: Of the run.
        data: Bytes of the set; not looked for in an object store.
        networks: Bytes of what lies in the run's own folder.

    Raises:
        SpinforgeError: If one has not.
    """
    place = folder.store.path
    if not isinstance(place, Path):
        data = 0
    elif _disk(place) != _disk(folder.path):
        check_space(place, data, _DATASET)
        data = 0
    check_space(folder.path, data + networks)


def _disk(path: Path) -> int:
    return os.stat(_nearest_existing(path)).st_dev


def check_writable(path: Path, option: str = "--set out=...") -> None:
    """Check that a folder may be made or written; writes nothing.

    Args:
        path: The folder.
        option: What the user may change to name another.

    Raises:
        SpinforgeError: If a file is in the way or rights are missing.
    """
    existing = _nearest_existing(path)
    if not existing.is_dir():
        raise SpinforgeError(
            f"{existing} is a file, so {path} cannot be a folder. Choose another one with {option}"
        )
    if not os.access(existing, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
        raise SpinforgeError(
            f"no permission to write {path}: {existing} is not writable. Change its rights or "
            f"choose another folder with {option}"
        )


def check_space(path: Path, needed: int, option: str = "--set out=...") -> None:
    """Raise SpinforgeError if the disk of a folder has less than `needed` bytes free."""
    free = shutil.disk_usage(_nearest_existing(path)).free
    if needed > free:
        raise SpinforgeError(
            f"the disk is full: {path} needs up to {needed / 2**20:.0f} MiB, but only "
            f"{free / 2**20:.0f} MiB are free. Free some space or choose another disk with "
            f"{option}"
        )


def _nearest_existing(path: Path) -> Path:
    """The path itself or the first folder above it that we can see."""
    path = path.absolute()
    while not os.path.exists(path):  # Path.exists raises where we may not look
        path = path.parent
    return path
