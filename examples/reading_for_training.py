# %% [markdown]
# # Five ways to read a set for training
#
# All show the same dictionaries: an image, its labels, and which slice it is. Run it with
# `python examples/reading_for_training.py`; it makes a set of three small heads first.

# %%
import tempfile
from pathlib import Path

import torch

from spinforge.datasets.phantoms import ProceduralHeads
from spinforge.datasets.products.catalogue import maker_of
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.making import make_subject, split_of
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.simulated_slices import SimulatedSlices
from spinforge.datasets.reading.streaming import StreamedSlices
from spinforge.datasets.splits import Subjects
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.training.data_module import SliceDataModule
from spinforge.simulation.sampling import Gaussian1D
from spinforge.simulation.slices import Slices

product = KSpaceProduct(
    spacing_mm=4,
    subjects=Subjects(train=1, validation=1, test=1),
    slices=Slices(thickness_mm=12, count=15),
    sampling=Gaussian1D(acs_lines=4),
)
temporary = tempfile.TemporaryDirectory()
store = DatasetStore(Path(temporary.name) / "small.zarr", maker_of(product).group)
split = split_of(product)
with store.writing():
    store.create(product.recipe())
    for subject in split.everyone:
        make_subject(product, subject, store)

# %% [markdown]
# In memory, with a line mask of its own for each slice and epoch. The same epoch and seed give the
# same masks, whatever the order, the batches, or what was read before.

# %%
in_memory = ZeroFilledSlices(
    store.path, split.train, sampling=product.sampling, masks="fresh", seed=1
)
in_memory.set_epoch(3)
item = in_memory[7]
print(item["subject"], item["slice"], tuple(item["image"].shape), tuple(item["target"].shape))

# %% [markdown]
# From the compressed store, for sets that do not fit: the same slices, any number of workers.

# %%
streamed = StreamedSlices(store.path, split.train, sampling=product.sampling, masks="fresh", seed=1)
streamed.set_epoch(3)
assert torch.equal(streamed[7]["image"], item["image"])

# %% [markdown]
# From the device, in whole batches: nothing is copied in a step. Fastest wherever the set fits.

# %%
on_device = DeviceSlices(in_memory, device=torch.device("cpu"), batch_size=4, order_seed=1)
on_device.set_epoch(3)
batch = next(iter(on_device))
print(len(on_device), "batches of", tuple(batch["image"].shape))

# %% [markdown]
# Scanned anew each epoch: other noise, masks, TE and TR of the same heads, never stored.

# %%
heads = ProceduralHeads(1, seed=0, spacing_mm=4.0)
fresh = SimulatedSlices(
    [heads.load(name) for name in heads.subjects()], product, seed=1, device=torch.device("cpu")
)
fresh.set_epoch(0)
first = fresh[7]["image"].clone()
fresh.set_epoch(1)
assert not torch.equal(fresh[7]["image"], first)

# %% [markdown]
# A Lightning data module of any of them; it resumes from the number of the epoch alone.

# %%
validation = ZeroFilledSlices(
    store.path, split.validation, sampling=product.sampling, masks="fixed"
)
module = SliceDataModule(in_memory, validation, batch_size=4, seed=1)
print(len(module.train_dataloader()), "training batches,", len(module.val_dataloader()), "to check")
temporary.cleanup()
