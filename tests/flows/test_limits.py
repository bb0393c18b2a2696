"""Tasks on a GPU wait for each other, but never for a server that is gone."""

import torch

from spinforge.flows import limits, local_server
from spinforge.models.training import possible


def test_only_tasks_on_a_gpu_have_the_tag(tiny, monkeypatch):
    assert limits.gpu_tag(tiny) == []
    monkeypatch.setattr(possible, "available_device", lambda _: torch.device("cuda"))
    assert limits.gpu_tag(tiny) == ["gpu"]


def test_on_a_private_server_nothing_waits(tiny, monkeypatch):
    monkeypatch.setattr(possible, "available_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(local_server, "_private", ["http://127.0.0.1:1/api"])
    assert limits.gpu_tag(tiny) == []
