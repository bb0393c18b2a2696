"""Kill -9 a training in the middle of each of its stages, then let it finish; compare.

Run as a script, `python killed_training.py FOLDER`: it imports everything once and forks, so that
the moments fall into the work and not into imports. Exits with an error if the network is not the
one of a training that nobody killed, bit for bit, or if an epoch was lost, counted twice or trained
again without need.
"""

import csv
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from discs import Discs
from forked_process import wait, wait_for
from measured import line_mask

from spinforge.models.crdn.crdn import CRDNConfig
from spinforge.models.fcslstm.fcslstm import FCSLSTMConfig
from spinforge.models.networks import KSpaceNetwork, NetworkConfig, SequenceNetwork
from spinforge.models.seranet.baselines import TwoStepConfig
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.training.checkpoints import IDENTITY
from spinforge.models.training.fit import train_network
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.stages import training_stages
from spinforge.models.weights import read_torch_file
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace

EPOCHS, SLICES = 4, 6
PAUSE = 0.01
"""Seconds that a slice takes to read, so that a moment can be in the middle of a stage."""
LONGEST_DELAY = 2 * SLICES * PAUSE
"""After a stage's first checkpoint [s]: two of its epochs or less, so that it is not over."""

BLOCKS = ReconstructionConfig(block="autoencoder", blocks=1, width=2)
NETWORKS: list[NetworkConfig] = [
    CRDNConfig(kind="crdn"),
    FCSLSTMConfig(kind="fcslstm"),
    TwoStepConfig(kind="two_step", reconstruction=BLOCKS, width=2),
    SERANetConfig(kind="seranet", reconstruction=BLOCKS, width=2, recurrences=1, pretrained=True),
    SegNetMRIConfig(kind="segnetmri", width=2, blocks=1),
]
RECIPE = TrainingConfig(epochs=EPOCHS, batch_size=2, schedule="poly", device="cpu")
RECURRENT_RECIPE = RECIPE.model_copy(
    update={"optimizer": "rmsprop", "loss": "weighted_cross_entropy", "learning_rate": 1e-3}
)


class SlowSlices(Discs):
    """Discs as a network reads them; writes down each epoch that begins."""

    def __init__(self, config: NetworkConfig, count: int, *, record: Path | None = None):
        super().__init__(count)
        self.config, self.record = config, record

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        if self.record is not None:
            with self.record.open("a") as file:
                file.write(f"{epoch}\n")

    def __getitem__(self, index: int):
        if self.record is not None:
            time.sleep(PAUSE)
        item = super().__getitem__(index)
        if isinstance(self.config, KSpaceNetwork):
            image = torch.complex(*item.pop("image"))
            (mask,) = line_mask(1, self.size[0], seed=1000 * self.epoch + index)
            return item | {"kspace": image_to_kspace(image)[None], "mask": mask}
        if isinstance(self.config, SequenceNetwork):
            names = ("image", "target")
            return item | {name: torch.stack([item[name], item[name].flip(-1)]) for name in names}
        return item


def train(config: NetworkConfig, folder: Path) -> None:
    recipe = RECURRENT_RECIPE if isinstance(config, SequenceNetwork) else RECIPE
    train_network(
        config,
        recipe,
        SlowSlices(config, SLICES, record=folder / "epochs.txt"),
        SlowSlices(config, 2),
        folder,
        seed=1,
        progress=False,
    )


def forked(config: NetworkConfig, folder: Path) -> int:
    """Start `train` in a process of its own."""
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            train(config, folder)
            code = 0
        finally:
            os._exit(code)
    return pid


def checkpointed_stage(checkpoint: Path) -> str | None:
    """Stage whose checkpoint it is; None before the first one."""
    try:
        return str(read_torch_file(checkpoint)[IDENTITY]["stage"])
    except SpinforgeError:
        return None


def begun_epochs(folder: Path) -> list[int]:
    path = folder / "epochs.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def kill_in_each_stage(config: NetworkConfig, folder: Path, draw: random.Random) -> None:
    """Kill the training in each stage after its first checkpoint; each time it has to go on."""
    stages, expected_next = training_stages(config), 0
    for number, stage in enumerate(stages, start=1):
        own = folder if number == len(stages) else folder / f"{number}-{stage.name}"
        checkpoint = own / "last.ckpt"
        before = len(begun_epochs(folder))
        pid = forked(config, folder)
        wait_for(checkpoint.exists, pid)
        time.sleep(draw.uniform(0, LONGEST_DELAY))
        os.kill(pid, signal.SIGKILL)
        assert wait(pid) == -signal.SIGKILL, f"{stage.name}: it ended before the kill"
        assert not (own / "weights.pt").exists(), f"{stage.name}: the stage was over"
        assert not (folder / "network.pt").exists(), f"{stage.name}: the training was over"
        assert checkpointed_stage(checkpoint) == stage.name
        assert begun_epochs(folder)[before] == expected_next, "it did not go on where it was"
        expected_next = read_torch_file(checkpoint)["epoch"] + 1
        assert expected_next >= 1
    before = len(begun_epochs(folder))
    assert wait(forked(config, folder)) == 0
    assert begun_epochs(folder)[before:] == list(range(expected_next, EPOCHS))


def assert_same(straight: Path, killed: Path) -> None:
    one, other = (read_torch_file(folder / "network.pt") for folder in (straight, killed))
    assert one.keys() == other.keys()
    ours, theirs = one.pop("state_dict"), other.pop("state_dict")
    assert one == other
    assert ours.keys() == theirs.keys()
    differing = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not differing, differing
    histories = sorted(path.relative_to(straight) for path in straight.rglob("history.csv"))
    for path in histories:
        rows = [read_history(folder / path) for folder in (straight, killed)]
        assert rows[0] == rows[1], path
        assert [row["epoch"] for row in rows[0]] == [str(epoch + 1) for epoch in range(EPOCHS)]


def read_history(path: Path) -> list[dict[str, str]]:
    """Without how long it took."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def main(folder: Path) -> None:
    start = time.monotonic()
    torch.set_num_threads(1)  # no threads before a fork
    draw, kills = random.Random(0), 0
    for config in NETWORKS:
        straight, killed = (folder / f"{config.kind}-{name}" for name in ("straight", "killed"))
        assert wait(forked(config, straight)) == 0
        assert begun_epochs(straight) == list(range(EPOCHS)) * len(training_stages(config))
        kill_in_each_stage(config, killed, draw)
        assert_same(straight, killed)
        kills += len(training_stages(config))
    sys.stdout.write(f"{kills} kills, {time.monotonic() - start:.0f} s\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
