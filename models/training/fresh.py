"""Training slices of k-space sets that are simulated anew in each epoch."""

from concurrent.futures import Executor

import torch
from pydantic import TypeAdapter, ValidationError

from spinforge.datasets.products.kspace import phantom_source
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.making import split_of
from spinforge.datasets.reading.fresh_heads import FreshHeads, check_fresh_heads
from spinforge.datasets.reading.simulated_slices import SimulatedSlices, check_fresh_scans
from spinforge.models.networks import KSpaceNetwork, NetworkConfig
from spinforge.models.training.recipes import TrainingConfig
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.sequences import PulseSequence

_SEQUENCE: TypeAdapter[PulseSequence] = TypeAdapter(PulseSequence)


def simulates(recipe: TrainingConfig) -> bool:
    """Whether the training slices are simulated, not read."""
    return recipe.fresh in ("scans", "anatomy")


def simulated_source(
    product: KSpaceProduct,
    recipe: TrainingConfig,
    network: NetworkConfig,
    *,
    seed: int,
    device: torch.device,
    executor: Executor | None = None,
) -> SimulatedSlices:
    """What `train_network` is to be given where `simulates` says so.

    As many heads as the set trains with, each scanned anew in every epoch; with fresh anatomy they
    are others each time.

    Args:
        product: The set, whose stored training subjects are not read.
        recipe: Whether the anatomy is fresh, and how much TR and TE vary.
        network: What it reads decides between images and measurements.
        seed: Seed of scans, masks and noise.
        device: Where the network will be trained, and the scans simulated.
        executor: Processes that make new heads.

    Raises:
        SpinforgeError: As `check_fresh`.
    """
    check_fresh(product, recipe)
    subjects, scanned = split_of(product).train, _with_timing(product, recipe)
    source: SimulatedSlices
    if recipe.fresh == "anatomy":
        source = FreshHeads(len(subjects), scanned, seed=seed, device=device, executor=executor)
    else:
        heads = phantom_source(product)
        phantoms = (heads.load(subject) for subject in subjects)
        source = SimulatedSlices(phantoms, scanned, seed=seed, device=device)
    return source.showing("measurement" if isinstance(network, KSpaceNetwork) else "image")


def check_fresh(product: KSpaceProduct, recipe: TrainingConfig) -> None:
    """Find what of a set cannot be drawn anew in each epoch; needs no file.

    Raises:
        SpinforgeError: For the first thing.
    """
    if recipe.fresh == "noise" and product.noise.percent == 0:
        raise SpinforgeError(
            "training.fresh = noise: with data.noise.percent = 0 there is none to draw anew. Leave "
            "training.fresh at masks, or set training.augmentation.noise_percent"
        )
    if recipe.fresh == "scans":
        check_fresh_scans(product)
    if recipe.fresh == "anatomy":
        check_fresh_heads(product)
    if simulates(recipe):
        _with_timing(product, recipe)


def _with_timing(product: KSpaceProduct, recipe: TrainingConfig) -> KSpaceProduct:
    """The product with TR and TE that vary as the recipe says."""
    percent = recipe.augmentation.timing_percent
    if not percent:
        return product
    try:
        scan = _SEQUENCE.validate_python(product.scan.model_dump() | {"variation": percent / 100})
    except ValidationError as error:
        raise SpinforgeError(
            f"training.augmentation.timing_percent = {percent:g}: "
            f"{error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from error
    return product.model_copy(update={"scan": scan})
