"""The data module: the loaders of the three groups, and training that goes on where it was."""

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from spinforge.models.training.data import training_loader
from spinforge.models.training.data_module import SliceDataModule
from spinforge.models.training.quiet import quiet_lightning
from spinforge.simulation.errors import SpinforgeError


class Seen(BoringModel):
    """Writes down which slices it is shown."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.order = []

    def training_step(self, batch, index):
        names = zip(batch["subject"], batch["slice"].tolist(), strict=True)
        self.order.append((self.current_epoch, list(names), float(batch["image"].sum())))
        return self.layer(torch.ones(1)).sum()

    def validation_step(self, batch, index):
        pass


def fit(module, folder, epochs, checkpoint=None):
    model = Seen()
    with quiet_lightning():
        trainer = Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            default_root_dir=folder,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        trainer.fit(model, module, ckpt_path=checkpoint)
        trainer.save_checkpoint(folder / "stopped.ckpt")
    return model.order


def module(discs, **options):
    return SliceDataModule(discs(10), discs(4), batch_size=4, seed=3, **options)


def test_a_resumed_training_sees_what_an_uninterrupted_one_sees(discs, tmp_path):
    through = fit(module(discs), tmp_path, epochs=3)
    fit(module(discs), tmp_path, epochs=1)
    rest = fit(module(discs), tmp_path, epochs=3, checkpoint=tmp_path / "stopped.ckpt")
    assert len(through) == 9
    assert rest == through[3:]


def test_the_training_loader_is_that_of_train_network(discs):
    ours, theirs = (
        module(discs).train_dataloader(),
        training_loader(discs(10), batch_size=4, seed=3),
    )
    for loader in (ours, theirs):
        loader.sampler.set_epoch(2)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one["image"], other["image"])


def test_validation_and_test_keep_their_order(discs):
    loaders = module(discs, test=discs(5))
    for loader in (loaders.val_dataloader(), loaders.test_dataloader()):
        places = [place for batch in loader for place in batch["slice"].tolist()]
        assert places == [index % 4 for index in range(len(places))]


def test_batches_that_are_ready_are_passed_on(discs):
    ready = [{"image": torch.zeros(2, 2, 8, 8)}]
    loaders = SliceDataModule(ready, discs(4), batch_size=4, seed=0)
    assert loaders.train_dataloader() is ready


def test_sets_that_do_not_fit_together_are_refused(discs):
    with pytest.raises(SpinforgeError, match="n_channels is 3"):
        SliceDataModule(discs(4, n_channels=3), discs(4), batch_size=2, seed=0)
    with pytest.raises(SpinforgeError, match="made without test slices"):
        module(discs).test_dataloader()
