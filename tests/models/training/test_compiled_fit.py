"""Training with compiled objectives; the compiler's own code is in tests/models/gates."""

import pytest
import torch
from network_gates import compilable
from together import PartlyLabelled
from torch._dynamo.utils import counters

from spinforge.models.seranet.baselines import TwoStepConfig
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.fit import train_network
from spinforge.models.training.recipes import TrainingConfig
from spinforge.models.training.task import SegmentationTask

UNET = UNetConfig(kind="unet", width=2)
TWO_STEP = TwoStepConfig(
    kind="two_step",
    reconstruction=ReconstructionConfig(block="autoencoder", blocks=1, width=2),
    width=2,
)

pytestmark = [
    # PyTorch's compiler imports what PyTorch itself declares outdated.
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _compilable(monkeypatch):
    """Without the compiler that writes C++: what is compiled does not depend on it."""
    compile_as_told = torch.compile
    monkeypatch.setattr(
        torch,
        "compile",
        lambda run, dynamic, mode: compile_as_told(run, dynamic=dynamic, backend="aot_eager"),
    )
    with compilable():
        yield


def train(config, folder, monkeypatch, *, slices, **changes):
    """The network file's weights, and the gradients of the first step of each stage."""
    gradients = {}

    def keep(task, optimizer):
        learning = dict(task.network.named_parameters())
        found = {name: weight.grad for name, weight in learning.items()}
        gradients.setdefault(
            task.prefix, {name: g.clone() for name, g in found.items() if g is not None}
        )

    monkeypatch.setattr(SegmentationTask, "on_before_optimizer_step", keep)
    recipe = TrainingConfig(batch_size=4, device="cpu", epochs=2).model_copy(update=changes)
    data = PartlyLabelled(config, slices), PartlyLabelled(config, slices)
    trained = train_network(config, recipe, *data, folder, seed=1, progress=False)
    weights = torch.load(trained.network_file, weights_only=True)["state_dict"]
    return weights, gradients


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "slices", "stages"), [(UNET, 6, 1), (TWO_STEP, 4, 2)], ids=["unet", "two-step"]
)
def test_compiled_training_takes_the_same_steps_under_the_same_names(
    config, slices, stages, tmp_path, monkeypatch
):
    weights, expected = train(config, tmp_path / "eager", monkeypatch, slices=slices)
    counters.clear()
    compiled, found = train(config, tmp_path / "compiled", monkeypatch, slices=slices, compile=True)
    # To learn and to validate: in each of two stages, or the whole batch and the last one. The
    # second epoch adds none.
    assert counters["stats"]["unique_graphs"] == 4
    assert not counters["graph_break"]
    assert compiled.keys() == weights.keys()
    assert len(found) == len(expected) == stages
    # Of the first stage: the second one starts from what Adam made of the roundings of the first.
    (expected, *_), (found, *_) = expected.values(), found.values()
    largest = max(gradient.abs().max() for gradient in expected.values())
    assert largest > 0
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0.0, atol=1e-4 * largest.item())
