"""Every network learns four slices by heart, and answers alike in bfloat16 and from its file.

`network_gate` has all networks at their papers' widths, the slow tests a few narrow ones.
"""

from typing import NamedTuple

import pytest
import torch
from network_gates import CASES, four_slices, gate_size, learn, narrow
from shape_checks import unchecked

from spinforge.models.weights import load_network, save_network


class Budget(NamedTuple):
    """Steps of Adam, and its learning rate in the first half; it falls to zero in the second."""

    steps: int
    learning_rate: float


BUDGETS = {
    **dict.fromkeys(("crdn-unet-rnn", "crdn-unet-lstm", "crdn-unet-gru"), Budget(150, 5e-3)),
    "crdn-vgg16-rnn": Budget(60, 2e-3),
    **dict.fromkeys(("crdn-vgg16-lstm", "crdn-vgg16-gru"), Budget(150, 4e-3)),
    **dict.fromkeys(
        ("crdn-resnet50-rnn", "crdn-resnet50-lstm", "crdn-resnet50-gru"), Budget(150, 3e-3)
    ),
    "fcn-vgg16": Budget(150, 4e-3),
    "fcn-resnet50": Budget(150, 4e-3),
    "fcn-unet": Budget(120, 1e-2),
    "segnet-vgg16": Budget(60, 2e-3),
    "segnet-unet": Budget(80, 5e-3),
    "unet-vgg16": Budget(60, 2e-3),
    "unet-resnet50": Budget(80, 1e-3),
    "unet-unet": Budget(120, 5e-3),
    **dict.fromkeys(("concise-fcn", "concise-fcn-half"), Budget(150, 5e-3)),
    **dict.fromkeys(("fcslstm", "bi-fcslstm"), Budget(100, 5e-3)),
    **dict.fromkeys(("unet", "fully-sampled"), Budget(50, 1e-3)),
    **dict.fromkeys(("zero-filling", "segnetmri"), Budget(80, 2e-3)),
    **dict.fromkeys(("joint-a", "joint-b"), Budget(80, 1e-3)),
    **{
        f"{network}-{block}": Budget(60, 1e-3)
        for network in ("two-step", "seranet-1", "seranet-2", "seranet-3", "seranet-3pp")
        for block in ("a", "b")
    },
    **dict.fromkeys(
        ("unet-28", "res-unet-28", "only-hfe", "only-lfe", "hle-net"), Budget(80, 5e-3)
    ),
}
"""What each network may take on four slices of 32 x 32 pixels; FCN-2s on 96 x 96.

More for cells with logistic gates: their logits stay below 1, so the loss falls slowly. Networks
that the papers train in stages learn from the labels alone here.
"""

NARROW_BUDGETS = {
    "crdn-unet-lstm": Budget(150, 5e-3),
    "segnet-unet": Budget(80, 5e-3),
    "concise-fcn": Budget(150, 5e-3),
    "seranet-1-a": Budget(100, 5e-3),
    "segnetmri": Budget(80, 5e-3),
    "res-unet-28": Budget(50, 5e-3),
    "hle-net": Budget(50, 5e-3),
}
"""Some of each family, with eight channels where there is a width."""


@pytest.fixture(autouse=True, scope="module")
def _unchecked():
    """The shapes are checked in the tests of each network; here it only takes time."""
    with unchecked():
        yield


@pytest.fixture(
    scope="module",
    # All facts of a network in one process, so that it is trained once.
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in CASES],
)
def trained(request):
    """A case, its network after its budget of steps, and what it learned."""
    case, budget = CASES[request.param], BUDGETS[request.param]
    given, target = four_slices(case, gate_size(case))
    return case, learn(case, given, target, **budget._asdict()), given, target


@torch.inference_mode()
def dice(case, network, given, target, *, half_precision=False):
    """Mean Dice of the tissues in evaluation."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half_precision):
        return case.dice(case.logits(network, given), target)


@pytest.mark.network_gate
def test_network_learns_four_slices_by_heart(trained, record_property):
    found = dice(*trained)
    name = trained[0].name
    record_property("network", name)
    record_property("steps", f"{BUDGETS[name].steps} at {BUDGETS[name].learning_rate:g}")
    record_property("dice", f"{found:.4f}")
    assert found > 0.95


@pytest.mark.network_gate
def test_dice_stays_in_bfloat16(trained, record_property):
    found = dice(*trained, half_precision=True)
    record_property("network", trained[0].name)
    record_property("dice_bfloat16", f"{found:.4f}")
    assert found == pytest.approx(dice(*trained), abs=0.005)


@pytest.mark.network_gate
def test_trained_network_survives_its_file(trained, tmp_path):
    case, network, given, _ = trained
    path = tmp_path / "network.pt"
    save_network(
        path,
        network.state_dict(),
        case.config,
        in_channels=case.in_channels,
        n_classes=case.n_classes,
    )
    loaded = load_network(path).network
    path.unlink()  # up to half a gigabyte, which pytest would keep for a while
    with torch.inference_mode():
        assert torch.equal(case.logits(loaded, given), case.logits(network, given))


@pytest.mark.slow
@pytest.mark.parametrize("name", NARROW_BUDGETS)
def test_narrow_network_learns_four_slices_by_heart(name):
    case = narrow(CASES[name])
    given, target = four_slices(case, gate_size(case))
    network = learn(case, given, target, **NARROW_BUDGETS[name]._asdict())
    exact = dice(case, network, given, target)
    assert exact > 0.95
    assert dice(case, network, given, target, half_precision=True) == pytest.approx(
        exact, abs=0.005
    )


def test_every_network_of_the_catalogue_has_a_budget():
    assert set(BUDGETS) == set(CASES)
