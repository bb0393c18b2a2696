"""The file of a trained network: round trip, and a plain message for every kind of damage."""

import errno
import os
from pathlib import Path

import pytest
import torch

from spinforge.datasets.reading.slice_format import SliceFormat, image_planes
from spinforge.models.networks import build_network
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.weights import load_network, save_network
from spinforge.simulation.errors import SpinforgeError

CONFIG = UNetConfig(kind="unet", name="small", width=2)


@pytest.fixture
def network():
    return build_network(CONFIG, in_channels=2, n_classes=4, seed=5)


@pytest.fixture
def file(network, tmp_path):
    path = tmp_path / "network.pt"
    save_network(path, network.state_dict(), CONFIG, in_channels=2, n_classes=4)
    return path


def test_a_network_survives_the_file(file, network, random_images):
    loaded = load_network(file)
    assert (loaded.config, loaded.in_channels, loaded.n_classes) == (CONFIG, 2, 4)
    assert not loaded.network.training
    images = random_images(1, 2, 32, 32)
    assert torch.equal(loaded.network(images), network.eval()(images))


def test_what_the_network_reads_survives_the_file(file, network):
    reads = SliceFormat(
        content="image",
        channels=("T1", "T2"),
        scaling="volume",
        planes=image_planes(("axial", "sagittal"), (3.0, 1.0, 0.9)),
        size=(192, 224),
        is_padded=True,
        class_names=("background", "CSF", "GM", "WM"),
        is_brain_only=True,
    )
    assert load_network(file).reads is None
    save_network(file, network.state_dict(), CONFIG, in_channels=2, n_classes=4, reads=reads)
    assert load_network(file).reads == reads


def test_nothing_but_the_file_is_left_behind(file):
    assert list(file.parent.iterdir()) == [file]


def test_full_disk_is_named_and_the_old_file_is_kept(file, network, monkeypatch):
    before = file.read_bytes()
    write = Path.write_bytes

    def write_half_then_fail(path, content):
        write(path, bytes(content)[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write_half_then_fail)
    with pytest.raises(SpinforgeError, match=r"disk is full: .*network\.pt was not written"):
        save_network(file, network.state_dict(), CONFIG, in_channels=2, n_classes=4)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_the_file_holds_plain_data(file):
    content = torch.load(file, weights_only=True)
    assert content["config"] == {"kind": "unet", "name": "small", "width": 2}


def test_missing_file_is_named(tmp_path):
    with pytest.raises(SpinforgeError, match=r"nowhere\.pt does not exist"):
        load_network(tmp_path / "nowhere.pt")


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.999])
def test_truncated_file_is_damaged(file, kept):
    content = file.read_bytes()
    file.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(SpinforgeError, match="is damaged"):
        load_network(file)


def test_a_changed_bit_is_damage_or_changes_nothing(file):
    """PyTorch checks no sum; padding between the parts of a file means nothing."""
    content = file.read_bytes()
    weights = load_network(file).network.state_dict()
    refused = 0
    for place in range(0, len(content), 211):
        file.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        try:
            found = load_network(file).network.state_dict()
        except SpinforgeError:
            refused += 1
        else:
            assert all(torch.equal(found[name], weight) for name, weight in weights.items())
    assert refused > len(content) // 211 // 4


def test_other_bytes_are_damaged(file):
    file.write_bytes(b"not a network at all" * 100)
    with pytest.raises(SpinforgeError, match="is damaged"):
        load_network(file)


def test_code_in_the_file_is_never_run(file):
    torch.save({"format": "spinforge-network", "network": torch.nn.Linear(1, 1)}, file)
    with pytest.raises(SpinforgeError, match="holds code or objects, which Spinforge") as raised:
        load_network(file)
    assert "weights_only" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "another"}, "not a trained network"),
        ({"version": 2}, "version 2"),
        ({"config": {"kind": "mlp"}}, "does not describe"),
        ({"config": {"kind": "unet", "width": 3}}, "does not describe"),
        ({"n_classes": None}, "does not describe"),
        ({"state_dict": {}}, "does not describe .*weights are those of another one"),
        ({"reads": {"content": "sounds"}}, "does not describe"),
    ],
)
def test_other_content_is_refused(file, change, message):
    torch.save(torch.load(file, weights_only=True) | change, file)
    with pytest.raises(SpinforgeError, match=message):
        load_network(file)


def test_weights_of_another_network_are_named_in_one_line(file, tmp_path):
    other = build_network(
        UNetConfig(kind="unet", width=3), in_channels=2, n_classes=4, seed=0
    ).state_dict()
    torch.save(torch.load(file, weights_only=True) | {"state_dict": other}, file)
    with pytest.raises(SpinforgeError, match=r"differ, such as .*: \(3,") as raised:
        load_network(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_classes": -1}, "n_classes is -1, not a number from 1 to 1024"),
        ({"n_classes": 10**9}, "n_classes is 1000000000, not"),
        ({"n_classes": 1}, "n_classes is 1"),
        ({"in_channels": 0}, "in_channels is 0"),
        ({"in_channels": True}, "in_channels is True"),
        ({"in_channels": "many"}, "in_channels is 'many'"),
    ],
)
def test_impossible_numbers_are_named_with_the_file(file, change, message):
    torch.save(torch.load(file, weights_only=True) | change, file)
    with pytest.raises(SpinforgeError, match=rf"network\.pt.*: {message}"):
        load_network(file)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda weight: torch.full_like(weight, float("nan")), "holds NaN or infinite values"),
        (lambda weight: weight.to(torch.complex64), "is torch.complex64, not torch.float32"),
        (lambda weight: weight.to(torch.int64), "is torch.int64, not torch.float32"),
    ],
    ids=["NaN", "complex", "integers"],
)
def test_weights_that_are_no_weights_are_refused(file, spoil, message):
    content = torch.load(file, weights_only=True)
    weights = content["state_dict"]
    weights |= {name: spoil(w) for name, w in weights.items() if w.is_floating_point()}
    torch.save(content, file)
    with pytest.raises(SpinforgeError, match=rf"network\.pt does not describe .*{message}"):
        load_network(file)


def test_a_folder_is_named_with_the_file_to_give(file):
    with pytest.raises(SpinforgeError, match=r"is a folder; give .*network\.pt"):
        load_network(file.parent)


def test_other_types_are_refused(file):
    torch.save([1, 2, 3], file)
    with pytest.raises(SpinforgeError, match="is damaged"):
        load_network(file)
