"""Pictures of what the networks of a study learn from: slices of its set in several epochs."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.utils.data import default_collate

from spinforge.datasets.products.isic import ISICLike
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.storage.files import readable_errors, replacing
from spinforge.evaluation.augmented import Panel, augmentation_figure
from spinforge.flows.config import Study
from spinforge.flows.slices import study_slices
from spinforge.models.augmentation.augmenter import augmenter_for
from spinforge.models.networks import KSpaceNetwork, NetworkConfig
from spinforge.models.seranet.consistency import zero_filled_channels
from spinforge.models.seranet.measurement import Measurement
from spinforge.models.training.data import SliceDataset
from spinforge.models.training.fresh import simulated_source, simulates
from spinforge.models.training.product_slices import check_trainable, showing
from spinforge.models.training.sources import before_sampling

_EPOCHS = 6
_HEIGHTS = (0.3, 0.45, 0.6)
"""Which slices, as fractions of the set of a subject: through the brain."""


def inspect_training(study: Study, folder: Path) -> list[Path]:
    """Draw a few training slices in the first epochs, as the networks see them.

    One picture for the networks that read images, and one for those that start from k-space.

    Args:
        study: Whose set must be there, but where its slices are simulated.
        folder: Where the pictures go.

    Returns:
        Paths of the pictures.

    Raises:
        SpinforgeError: If the set is missing, the recipe does not fit it, or the folder cannot be
            written.
    """
    check_trainable(study.data, study.networks, study.training)
    kinds: dict[str, NetworkConfig] = {}
    for network in study.networks:
        kinds.setdefault("kspace" if isinstance(network, KSpaceNetwork) else "images", network)
    return [
        _save(_figure(study, network), folder / f"training-{name}.png")
        for name, network in kinds.items()
    ]


def _figure(study: Study, network: NetworkConfig) -> Figure:
    source = _source(study, network)
    count = len(source)
    positions = [round(height * (count - 1)) for height in _HEIGHTS]
    if not isinstance(study.data, ISICLike):  # photographs have nothing to do with each other
        subjects = [source[0]["subject"]]
        n_first = sum(source[p]["subject"] in subjects for p in range(min(count, 200)))
        positions = [round(height * (n_first - 1)) for height in _HEIGHTS]
    positions = sorted(set(positions))
    epochs = [_panels(study, network, source, positions, epoch) for epoch in range(_EPOCHS)]
    title = f"{study.name}: what {network.name} learns from, recipe {study.training.recipe}"
    return augmentation_figure(title, [list(row) for row in zip(*epochs, strict=True)])


def _source(study: Study, network: NetworkConfig) -> SliceDataset:
    """The training slices, as the network's training reads them on the processor."""
    recipe = study.training
    source: SliceDataset
    if isinstance(study.data, KSpaceProduct) and simulates(recipe):
        device = torch.device("cpu")
        source = simulated_source(study.data, recipe, network, seed=study.seed, device=device)
    else:
        source = showing(study_slices(study, "train"), network)
    if recipe.augmentation.is_physical:
        measured = before_sampling(source)
        assert isinstance(measured, SliceDataset)  # as what it is made of
        return measured
    return source


def _panels(
    study: Study, network: NetworkConfig, source: SliceDataset, positions: list[int], epoch: int
) -> list[Panel]:
    """These slices in one epoch."""
    source.set_epoch(epoch)
    batch = default_collate([source[position] for position in positions])
    augmenter = augmenter_for(study.training.augmentation, network, seed=study.seed)
    if augmenter is not None:
        batch = augmenter.applied(augmenter.drawn(batch, epoch))
    if "kspace" in batch:
        measured = Measurement(batch["kspace"], batch["mask"], batch.get("sensitivities"))
        batch["image"] = zero_filled_channels(measured)
    image, target = batch["image"], batch["target"]
    if image.ndim == 5:  # of a sequence the first age
        image, target = image[:, 0], target[:, 0]
    has_phase = isinstance(study.data, KSpaceProduct)
    shown = image.square().sum(1).sqrt() if has_phase else image[:, 0]
    names = zip(batch["subject"], batch["slice"].tolist(), strict=True)
    titles = [f"{subject}, slice {number}\nepoch {epoch + 1}" for subject, number in names]
    return [
        (title, _upright(study, one.numpy()), _upright(study, labels.numpy()))
        for title, one, labels in zip(titles, shown, target, strict=True)
    ]


def _upright(study: Study, plane: np.ndarray) -> np.ndarray:
    """With the nose or the top upwards; photographs are as they should be."""
    if isinstance(study.data, ISICLike):
        return plane
    return (plane.T if isinstance(study.data, KSpaceProduct) else plane)[::-1]


def _save(figure: Figure, path: Path) -> Path:
    with readable_errors(path), replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path
