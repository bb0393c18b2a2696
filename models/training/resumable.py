"""What an unfinished training left in its folder, looked at before it is gone on with."""

from pathlib import Path
from typing import Any

from spinforge.models.networks import NetworkConfig
from spinforge.models.training.checkpoints import find_resumable
from spinforge.models.training.outcome import read_outcome
from spinforge.models.training.recipes import MACHINE_FIELDS, TrainingConfig
from spinforge.models.training.stages import Stage, training_stages


def settings_identity(network: NetworkConfig, recipe: TrainingConfig, seed: int) -> dict[str, Any]:
    """All that decides the result but for the data; not the devices, which may change."""
    return {
        "network": network.model_dump(mode="json"),
        "recipe": recipe.model_dump(mode="json", exclude=MACHINE_FIELDS),
        "seed": seed,
    }


def stage_folders(network: NetworkConfig, folder: Path) -> list[tuple[Stage, Path]]:
    """The stages of a network and where each is trained: the last one in the folder itself."""
    *before, last = training_stages(network)
    numbered = [(s, folder / f"{number}-{s.name}") for number, s in enumerate(before, start=1)]
    return [*numbered, (last, folder)]


def require_resumable(
    network: NetworkConfig, recipe: TrainingConfig, folder: Path, *, seed: int
) -> None:
    """Read all that `train_network` will go on from; needs no data.

    Args:
        network: What will be trained.
        recipe: How.
        folder: Of the training; nothing need be there.
        seed: Of the training.

    Raises:
        SpinforgeError: If a checkpoint or a stage's weights are damaged or of another training.
    """
    identity = settings_identity(network, recipe, seed)
    for stage, place in stage_folders(network, folder):
        wanted = identity | {"stage": stage.name}
        if (place / "weights.pt").exists():
            read_outcome(place / "weights.pt", wanted)
        else:
            find_resumable(place / "last.ckpt", wanted)
