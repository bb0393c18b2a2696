"""Trainings in several processes, for the tests: data with unlabelled pixels, first gradients."""

from pathlib import Path

import torch
from discs import Discs
from measured import line_mask

from spinforge.datasets.reading.network_input import IGNORE_INDEX
from spinforge.models.collective import process_number
from spinforge.models.networks import KSpaceNetwork, NetworkConfig
from spinforge.models.training.fit import train_network
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.task import SegmentationTask
from spinforge.simulation.fourier import image_to_kspace


class PartlyLabelled(Discs):
    """Discs as a network reads them; the later a slice, the fewer of its rows have labels."""

    def __init__(self, config: NetworkConfig, count: int, **options):
        super().__init__(count, **options)
        self.config = config

    def __getitem__(self, index):
        item = super().__getitem__(index)
        item["target"][: 3 * index] = IGNORE_INDEX
        if not isinstance(self.config, KSpaceNetwork):
            return item
        image = torch.complex(*item.pop("image"))
        (mask,) = line_mask(1, self.size[0], seed=1000 * self.epoch + index)
        return item | {"kspace": image_to_kspace(image)[None], "mask": mask}


def train_and_keep_gradients(
    cases: dict[str, tuple[NetworkConfig, TrainingConfig]], folder: Path
) -> None:
    """Train each case in a folder of its own, and save each stage's first gradients there."""
    for name, (config, recipe) in cases.items():
        own = folder / name
        own.mkdir(parents=True, exist_ok=True)

        def keep(task, optimizer, own=own):
            path = own / f"{task.prefix.rstrip('/') or 'last'}-{process_number()}.pt"
            if not path.exists():
                learning = dict(task.network.named_parameters())
                found = {key: weight.grad for key, weight in learning.items()}
                torch.save({key: g for key, g in found.items() if g is not None}, path)

        SegmentationTask.on_before_optimizer_step = keep
        train_network(
            config,
            recipe,
            PartlyLabelled(config, 7),
            PartlyLabelled(config, 9),
            own / "training",
            seed=1,
            progress=False,
        )


class NotANumber(PartlyLabelled):
    """One pixel of the first slice is no number, in the second epoch."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        if self.epoch == 1 and index == 0:
            item["image"][0, 5, 5] = torch.nan
        return item


def train_without_numbers(config: NetworkConfig, recipe: TrainingConfig, folder: Path) -> None:
    data = NotANumber(config, 8), PartlyLabelled(config, 5)
    train_network(config, recipe, *data, folder, seed=1, progress=False)


def train_and_fail(cases, config, recipe, folder) -> None:
    """First what ends well."""
    train_and_keep_gradients(cases, folder)
    train_without_numbers(config, recipe, folder / "no-number")
