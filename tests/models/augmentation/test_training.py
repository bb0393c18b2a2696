"""Trainings with augmentation: only its batches are changed, and stopping changes nothing."""

import pytest
import torch
from pydantic import ValidationError
from tiny_images import TINY as IMAGES
from tiny_kspace import TINY

from spinforge.datasets.products.making import make_subject
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.fresh_heads import FreshHeads
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.augmentation.augmenter import Augmenter
from spinforge.models.augmentation.settings import Augmentation
from spinforge.models.seranet.baselines import TwoStepConfig, ZeroFillingConfig
from spinforge.models.seranet.reconstruction import ReconstructionConfig
from spinforge.models.seranet.unet import UNetConfig
from spinforge.models.training.fit import train_network
from spinforge.models.training.fresh import simulated_source
from spinforge.models.training.product_slices import check_trainable
from spinforge.models.training.recipes import (
    CRDNTraining,
    FCSLSTMTraining,
    HLENetTraining,
    SERANetTraining,
    TrainingConfig,
)
from spinforge.models.training.sources import before_sampling, way_of
from spinforge.models.weights import read_torch_file
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import Noise
from spinforge.simulation.sequences import SpinEcho

CPU = torch.device("cpu")
UNET = UNetConfig(kind="unet", width=2)
EVERYTHING = Augmentation(
    flip_vertical=0.5, rotation_deg=20, crop=0.8, inu_percent=40, motion=3, noise_percent=5
)
NOTHING = Augmentation()
MEASURED = Augmentation(flip_vertical=0.5, inu_percent=40, motion=3, noise_percent=5)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> DatasetStore:
    store = DatasetStore(tmp_path_factory.mktemp("kspace") / "set.zarr")
    store.create(TINY.recipe())
    make_subject(TINY, "head-000", store)
    return store


def opened(store, masks="fresh"):
    return ZeroFilledSlices(store.path, ("head-000",), sampling=TINY.sampling, masks=masks, seed=2)


def train(folder, train, validation, *, augmentation, network=UNET, epochs=3):
    return train_network(
        network,
        TrainingConfig(epochs=epochs, batch_size=4, device="cpu", augmentation=augmentation),
        train,
        validation,
        folder,
        seed=1,
        progress=False,
    )


def weights(trained):
    return read_torch_file(trained.network_file)["state_dict"]


def assert_same_weights(one, other):
    one, other = weights(one), weights(other)
    assert not [name for name in one if not torch.equal(one[name], other[name])]


def test_a_training_stopped_in_the_middle_ends_with_the_same_weights(discs, tmp_path):
    through = train(tmp_path / "through", discs(8), discs(4), augmentation=EVERYTHING)

    class Stopping(discs):
        def __getitem__(self, index):
            if len(self.visits) == 8 + 5:
                raise RuntimeError("power cut")
            return super().__getitem__(index)

    with pytest.raises(RuntimeError, match="power cut"):
        train(tmp_path / "stopped", Stopping(8), discs(4), augmentation=EVERYTHING)
    resumed = train(tmp_path / "stopped", discs(8), discs(4), augmentation=EVERYTHING)
    assert_same_weights(through, resumed)
    other = train(tmp_path / "other", discs(8), discs(4), augmentation=Augmentation())
    assert weights(other).keys() == weights(through).keys()
    assert any(not torch.equal(v, weights(other)[n]) for n, v in weights(through).items())


def test_only_training_batches_are_augmented_each_with_its_epoch(discs, tmp_path, monkeypatch):
    seen = []

    class Noting(Augmenter):
        def drawn(self, batch, epoch):
            seen.append((epoch, len(batch["target"])))
            return super().drawn(batch, epoch)

    monkeypatch.setattr("spinforge.models.augmentation.augmenter.Augmenter", Noting)
    train(tmp_path, discs(6), discs(3), augmentation=EVERYTHING, epochs=2)
    assert seen == [(0, 4), (0, 2), (1, 4), (1, 2)]


@pytest.mark.parametrize("network", [UNET, ZeroFillingConfig(kind="zero_filling", width=2)])
def test_either_kind_of_network_learns_from_k_space_that_was_scanned_worse(
    store, tmp_path, network
):
    from_kspace = network is not UNET
    content = "measurement" if from_kspace else "image"
    slices, validation = (opened(store, m).showing(content) for m in ("fresh", "fixed"))
    augmentation = MEASURED if from_kspace else EVERYTHING
    options = {"augmentation": augmentation, "network": network, "epochs": 1}
    loaded = train(tmp_path / "loaded", slices, validation, **options)
    resident = DeviceSlices(slices, device=CPU, batch_size=4, order_seed=1)
    ready = train(tmp_path / "ready", resident, validation, **options)
    assert loaded.summary.identity == ready.summary.identity
    plain = train(tmp_path / "plain", slices, validation, **options | {"augmentation": NOTHING})
    losses = [
        float(trained.history_file.read_text().splitlines()[1].split(",")[1])
        for trained in (loaded, ready, plain)
    ]
    # Fourier transforms of a batch may round differently; four steps of Adam enlarge that a little.
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)


def test_what_the_scanner_does_comes_before_lines_are_left_out(store):
    for source in (opened(store), DeviceSlices(opened(store), device=CPU, batch_size=4)):
        shown = before_sampling(source)
        item = next(iter(shown)) if isinstance(shown, DeviceSlices) else shown[0]
        assert {"kspace", "mask"} <= item.keys()
        assert len(shown) == len(source)


def test_scans_anew_are_a_source_to_train_from(tmp_path, store):
    recipe = TrainingConfig(fresh="scans", augmentation={"timing_percent": 20}, device="cpu")
    source = simulated_source(TINY, recipe, UNET, seed=1, device=CPU)
    assert way_of(source) == "simulated"
    assert source._product.scan.variation == 0.2
    assert source._product.seed == TINY.seed
    train(tmp_path, source, opened(store, "fixed"), augmentation=MEASURED, epochs=1)


def test_only_recipes_whose_papers_augment_do():
    none = Augmentation()
    assert TrainingConfig().augmentation == none
    assert CRDNTraining(recipe="crdn").augmentation == none
    assert SERANetTraining(recipe="seranet").augmentation == none
    hlenet = HLENetTraining(recipe="hlenet").augmentation
    assert hlenet.flip_vertical
    assert hlenet.flip_horizontal
    assert hlenet.crop < 1
    infants = FCSLSTMTraining(recipe="fcslstm").augmentation
    assert not infants.flip_vertical
    assert infants.flip_horizontal
    assert infants.crop < 1
    assert not hlenet.is_physical
    assert not infants.is_physical


def test_settings_change_the_recipes_own_and_null_is_none():
    changed = HLENetTraining(recipe="hlenet", augmentation={"crop": 0.9}).augmentation
    assert changed == Augmentation(flip_vertical=0.5, flip_horizontal=0.5, crop=0.9)
    assert TrainingConfig(augmentation={"crop": 0.9}).augmentation == Augmentation(crop=0.9)
    off = HLENetTraining(recipe="hlenet", augmentation=None)
    assert off.augmentation == Augmentation()
    assert HLENetTraining.model_validate(off.model_dump()) == off
    with pytest.raises(ValidationError, match="rotation\n"):
        HLENetTraining(recipe="hlenet", augmentation={"rotation": 9})


def test_another_timing_needs_another_scan():
    with pytest.raises(ValidationError, match="stored slices hold no tissues"):
        TrainingConfig(augmentation={"timing_percent": 5})
    assert TrainingConfig(fresh="anatomy", augmentation={"timing_percent": 5})


QUIET = TINY.model_copy(update={"noise": Noise(percent=0)})
BRAINWEB = TINY.model_copy(update={"phantom": "brainweb20"})
LONG_ECHO = TINY.model_copy(update={"scan": SpinEcho(tr_ms=2000, te_ms=900)})


@pytest.mark.parametrize(
    ("product", "recipe", "message"),
    [
        (QUIET, {"fresh": "noise"}, r"training\.fresh = noise: .*there is none to draw anew"),
        (BRAINWEB, {"fresh": "anatomy"}, r"data\.phantom = brainweb20: there are no new heads"),
        (IMAGES["hvsmr_like"], {"fresh": "scans"}, r"training\.fresh = scans: .*finished images"),
        (
            IMAGES["isic_like"],
            {"augmentation": {"inu_percent": 5}},
            r"training\.augmentation\.inu_percent: .*isic_like is photographs",
        ),
        (
            IMAGES["spleen_like"],
            {"augmentation": {"motion": 5, "noise_percent": 1}},
            r"augmentation\.motion, training\.augmentation\.noise_percent: .*is CT",
        ),
        (
            LONG_ECHO,
            {"fresh": "scans", "augmentation": {"timing_percent": 50}},
            r"timing_percent = 50: .*echo must fit in the repetition",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(product, recipe, message):
    with pytest.raises(SpinforgeError, match=message):
        check_trainable(product, (UNET,), TrainingConfig(**recipe))


def test_a_network_of_k_space_is_not_rotated():
    network = ZeroFillingConfig(kind="zero_filling", width=2)
    recipe = TrainingConfig(augmentation={"rotation_deg": 5})
    with pytest.raises(SpinforgeError, match=r"augmentation\.rotation_deg: a network that starts"):
        check_trainable(TINY, (UNET, network), recipe)
    check_trainable(TINY, (UNET,), recipe)


@pytest.mark.slow
def test_stages_that_see_new_heads_stopped_anywhere_end_with_the_same_weights(store, tmp_path):
    """Each stage counts its epochs from 0 and sees the heads of these."""
    blocks = ReconstructionConfig(block="autoencoder", blocks=1, width=2)
    network = TwoStepConfig(kind="two_step", reconstruction=blocks, width=2)
    recipe = TrainingConfig(
        epochs=2,
        batch_size=7,
        device="cpu",
        fresh="anatomy",
        loss="weighted_cross_entropy",
        augmentation=MEASURED,
    )
    validation = opened(store, "fixed").showing("measurement")

    class Stopping(FreshHeads):
        last = None
        visits = 0

        def __getitem__(self, position):
            if self.visits == self.last:
                raise RuntimeError("power cut")
            self.visits += 1
            return super().__getitem__(position)

    def trained(folder, last=None):
        source = Stopping(1, TINY, seed=1, device=CPU).showing("measurement")
        source.last = last
        return train_network(network, recipe, source, validation, folder, seed=1, progress=False)

    through = trained(tmp_path / "through")
    # In the second epoch of either stage; 14 slices are counted for the classes each time, and the
    # second run has an epoch left of the first stage.
    for last in (14 + 14 + 5, 14 + 14 + 14 + 14 + 5):
        with pytest.raises(RuntimeError, match="power cut"):
            trained(tmp_path / "stopped", last)
    assert_same_weights(through, trained(tmp_path / "stopped"))
