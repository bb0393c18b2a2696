"""Which slices a study's networks see, and the hashes that name what came of them."""

from pathlib import Path

from spinforge.datasets.products.catalogue import kspace_product
from spinforge.datasets.products.making import is_done, split_of
from spinforge.datasets.reading.loading import ZeroFilledSlices, slices_fingerprint
from spinforge.datasets.storage.store import DatasetStore
from spinforge.evaluation.score import METRICS_VERSION
from spinforge.flows.config import Study
from spinforge.flows.run_folder import RunFolder
from spinforge.models.networks import NetworkConfig
from spinforge.models.training.reading import open_slices
from spinforge.models.training.recipes import TRAINING
from spinforge.simulation.config import content_hash
from spinforge.simulation.errors import SpinforgeError


def checked_store(study: Study) -> DatasetStore:
    """The study's data set, made with the study's configuration and complete.

    Raises:
        SpinforgeError: If it is missing, incomplete, or made with another configuration.
    """
    store = RunFolder.of(study).store
    store.attributes()
    store.require(study.data.recipe())
    everyone = split_of(study.data).everyone
    if missing := [s for s in everyone if not is_done(study.data, store, s)]:
        raise SpinforgeError(f"{store.path} lacks {', '.join(missing)}. Run: spinforge generate")
    return store


def training_slices(study: Study) -> tuple[ZeroFilledSlices, ZeroFilledSlices]:
    """Training slices with fresh masks each epoch, validation slices with fixed ones.

    In memory, or streamed where they do not fit; the same bits either way.
    """
    path = checked_store(study).path
    split, sampling = split_of(study.data), kspace_product(study.data).sampling
    return (
        open_slices(path, split.train, sampling=sampling, masks="fresh", seed=study.seed),
        open_slices(path, split.validation, sampling=sampling, masks="fixed"),
    )


def held_out_slices(study: Study) -> ZeroFilledSlices:
    """Slices of the test subjects, with their fixed masks."""
    path = checked_store(study).path
    return ZeroFilledSlices(
        path, split_of(study.data).test, sampling=kspace_product(study.data).sampling, masks="fixed"
    )


def network_folder(study: Study, network: NetworkConfig) -> Path:
    """Folder of exactly this network, code, recipe, seed and data, on whatever device."""
    store, split = checked_store(study), split_of(study.data)
    sampling = kspace_product(study.data).sampling
    fingerprint = content_hash(
        {
            "network": network.model_dump(mode="json", exclude={"name"}),
            "version": TRAINING,
            "training": study.training.model_dump(mode="json", exclude={"device"}),
            "seed": study.seed,
            "train": slices_fingerprint(
                store, split.train, sampling=sampling, masks="fresh", seed=study.seed
            ),
            "validation": slices_fingerprint(
                store, split.validation, sampling=sampling, masks="fixed"
            ),
        }
    )
    return RunFolder.of(study).networks / f"{network.name}-{fingerprint[:8]}"


def scores_folder(study: Study, network: NetworkConfig) -> Path:
    """Folder of what exactly this trained network scored on exactly these test slices."""
    test = slices_fingerprint(
        checked_store(study),
        split_of(study.data).test,
        sampling=kspace_product(study.data).sampling,
        masks="fixed",
    )
    trained = network_folder(study, network).name
    fingerprint = content_hash({"network": trained, "version": METRICS_VERSION, "test": test})
    return RunFolder.of(study).evaluation / f"{network.name}-{fingerprint[:8]}"
