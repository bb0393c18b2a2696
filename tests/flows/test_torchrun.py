"""A study trained by `train_with_torchrun` in one process, as torchrun starts one for each GPU."""

import pytest
import torch

from spinforge.datasets.reading.simulated_slices import SimulatedSlices
from spinforge.flows import train_with_torchrun as torchrun
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.slices import network_folder
from spinforge.models.weights import load_network


def test_it_leaves_the_network_that_the_study_itself_trains(finished, untrained, tiny_file):
    only_unet = "networks=[{kind: unet, width: 4}]"
    torchrun.train_with_torchrun(tiny_file, [f"out={untrained.out}", only_unet])
    unet = untrained.networks[0]
    ours, theirs = (
        load_network(network_folder(study, unet) / "network.pt")
        for study in (untrained, finished[0])
    )
    assert ours.reads == theirs.reads is not None
    weights, wanted = ours.network.state_dict(), theirs.network.state_dict()
    assert all(torch.equal(weights[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("fresh", ["scans", "anatomy"])
def test_fresh_scans_are_simulated_not_read(fresh, untrained, tiny_file, monkeypatch):
    seen = []

    def watch(network, recipe, source, validation, folder, *, reads, **_):
        seen.append((network.name, type(source), reads == validation.format))

    monkeypatch.setattr(torchrun, "train_network", watch)
    torchrun.train_with_torchrun(
        tiny_file, [f"out={untrained.out}", f"training.fresh={fresh}", "workers=1"]
    )
    assert [name for name, _, _ in seen] == ["unet", "crdn"]
    assert all(issubclass(kind, SimulatedSlices) and same for _, kind, same in seen)
    assert not RunFolder.of(untrained).networks.exists()
