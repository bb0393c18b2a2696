"""Trainings of several stages: what each leaves, and stopping and resuming in any of them."""

import pytest
import torch
from measured import line_mask

from spinforge.models.networks import build_network
from spinforge.models.seranet.baselines import TwoStepConfig
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.segnetmri import SegNetMRIConfig
from spinforge.models.seranet.seranet import SERANetConfig
from spinforge.models.training.fit import stage_histories, train_network
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.resumable import require_resumable
from spinforge.models.training.stages import training_stages
from spinforge.models.weights import load_network, read_torch_file
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.fourier import image_to_kspace

BLOCKS = ReconstructionConfig(block="autoencoder", blocks=1, width=2)
TWO_STEP = TwoStepConfig(kind="two_step", reconstruction=BLOCKS, width=2)
PLUS_PLUS = SERANetConfig(
    kind="seranet", reconstruction=BLOCKS, width=2, recurrences=1, pretrained=True
)
SEGNETMRI = SegNetMRIConfig(kind="segnetmri", width=2, blocks=1)
RECIPE = TrainingConfig(epochs=2, pretraining_epochs=3, batch_size=4, device="cpu")


@pytest.fixture
def measured(discs):
    """The discs as measured by one coil, with another mask each epoch."""

    class Measured(discs):
        def __getitem__(self, index):
            item = super().__getitem__(index)
            image = torch.complex(*item.pop("image"))
            (mask,) = line_mask(1, self.size[0], seed=1000 * self.epoch + index)
            return item | {"kspace": image_to_kspace(image)[None], "mask": mask}

    return Measured


def train(folder, train, validation, config, **options):
    return train_network(
        config, RECIPE, train, validation, folder, seed=1, progress=False, **options
    )


def weights(trained):
    return read_torch_file(trained.network_file)["state_dict"]


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    assert not [name for name in one if not torch.equal(one[name], other[name])]


@pytest.mark.parametrize("config", [TWO_STEP, PLUS_PLUS, SEGNETMRI], ids=lambda c: c.kind)
def test_stages_stopped_anywhere_end_with_the_same_weights(config, measured, tmp_path):
    """Stopped in the middle of each stage's second epoch, again and again."""
    through = train(tmp_path / "through", measured(8), measured(4), config)
    folder = tmp_path / "stopped"

    class Stopping(measured):
        def __getitem__(self, index):
            if len(self.visits) == self.last:
                raise RuntimeError("power cut")
            return super().__getitem__(index)

    for number, _ in enumerate(training_stages(config)):
        # Five slices into the second epoch; later the two epochs left of the stage before as well.
        stopping = Stopping(8)
        stopping.last = 8 + 5 + (2 * 8 if number else 0)
        with pytest.raises(RuntimeError, match="power cut"):
            train(folder, stopping, measured(4), config)
        assert not (folder / "network.pt").exists()
    resumed = train(folder, measured(8), measured(4), config)
    assert_same_weights(weights(through), weights(resumed))
    assert through.summary.best_epoch == resumed.summary.best_epoch


def test_a_stage_leaves_alone_what_it_does_not_train(measured, tmp_path):
    trained = train(tmp_path, measured(8), measured(4), TWO_STEP)
    first = read_torch_file(tmp_path / "1-reconstruction" / "weights.pt")["weights"]
    start = build_network(TWO_STEP, in_channels=2, n_classes=4, seed=1).state_dict()
    final = weights(trained)
    for name in start:
        is_reconstruction = name.startswith("reconstruction.")
        before, after = (first, final) if is_reconstruction else (start, first)
        assert torch.equal(before[name], after[name]), name
    changed = [name for name in start if not torch.equal(start[name], final[name])]
    assert {name.partition(".")[0] for name in changed} == {"reconstruction", "segmentation"}


def test_history_of_a_reconstruction_has_no_dice(measured, tmp_path):
    train(tmp_path, measured(8), measured(4), TWO_STEP)
    lines = (tmp_path / "1-reconstruction" / "history.csv").read_text().splitlines()
    assert len(lines) == 1 + 3  # pretraining_epochs
    assert all(line.split(",")[3] == "nan" for line in lines[1:])
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + 2


def test_every_stage_has_its_table(measured, tmp_path):
    trained = train(tmp_path, measured(8), measured(4), PLUS_PLUS)
    before = stage_histories(trained.folder)
    assert list(before) == ["reconstruction", "segmentation"]
    assert all(path.is_file() for path in before.values())


def test_a_kept_network_segments(measured, tmp_path):
    trained = train(tmp_path, measured(8), measured(4), PLUS_PLUS)
    loaded = load_network(trained.network_file)
    assert loaded.config == PLUS_PLUS
    assert all(weight.requires_grad for weight in loaded.network.parameters())


def test_a_finished_stage_of_another_training_is_refused(measured, tmp_path):
    train(tmp_path, measured(8), measured(4), TWO_STEP)
    for name in ("network.pt", "training.json", "last.ckpt"):
        (tmp_path / name).unlink()
    with pytest.raises(SpinforgeError, match=r"weights.pt belongs to another training: seed"):
        train_network(TWO_STEP, RECIPE, measured(8), measured(4), tmp_path, seed=2, progress=False)


def test_a_damaged_stage_is_found_without_the_data(measured, tmp_path):
    require_resumable(TWO_STEP, RECIPE, tmp_path, seed=1)  # nothing there yet
    train(tmp_path, measured(8), measured(4), TWO_STEP)
    require_resumable(TWO_STEP, RECIPE, tmp_path, seed=1)
    with pytest.raises(SpinforgeError, match=r"weights.pt belongs to another training: seed"):
        require_resumable(TWO_STEP, RECIPE, tmp_path, seed=2)
    (tmp_path / "1-reconstruction" / "weights.pt").write_bytes(b"PK")
    with pytest.raises(SpinforgeError, match=r"1-reconstruction/weights.pt is damaged"):
        require_resumable(TWO_STEP, RECIPE, tmp_path, seed=1)


def test_images_are_refused(discs, tmp_path):
    with pytest.raises(SpinforgeError, match="starts from k-space"):
        train(tmp_path, discs(8), discs(4), TWO_STEP)
