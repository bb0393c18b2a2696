"""Speed of reading slices for training, as ratios to a raw memory map in the same run.

    python benchmarks/loading.py [--device cuda] [--subjects 8] [--workers 2]

One procedural head is scanned and stored several times, with noise of its own each time. The
yardstick is `np.memmap` of the same k-space and targets in one uncompressed file each, read through
the same `DataLoader` in the same random order with as many workers. First what reading alone
gives: k-space and targets in batches, `content="kspace"`. Then what noise added on read adds to the
time of an epoch of network input. The default adds the noise of the stored set when a noise-free
set is loaded, once for all epochs; the time of loading is printed below. Noise drawn anew for each
epoch, or for each slice that is streamed, is shown beside it without a limit.

Ends with 1 if a limit is missed. Wall times where workers or a GPU take part, else CPU times of the
one thread; the best of a few epochs that the compared take by turns, for other jobs may run.
"""

import argparse
import contextlib
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from spinforge.datasets.products.kspace import FIXED_MASK, KSpaceMaker
from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.products.product import provenance
from spinforge.datasets.reading.device_resident import DeviceSlices
from spinforge.datasets.reading.loading import ZeroFilledSlices
from spinforge.datasets.reading.noise_on_read import add_noise, read_noise
from spinforge.datasets.reading.streaming import StreamedSlices
from spinforge.datasets.splits import Subjects
from spinforge.datasets.storage.arrays import StoredArray
from spinforge.datasets.storage.store import DatasetStore
from spinforge.models.training.data import training_loader
from spinforge.simulation.noise import Noise
from spinforge.simulation.sampling import Gaussian1D

BATCH = 12
EPOCHS = 5
EPOCHS_ALONE = 15
QUIET = KSpaceProduct(noise=Noise(percent=0), subjects=Subjects(train=1, validation=1, test=1))
NOISY = KSpaceProduct(subjects=QUIET.subjects)

LEAST_IN_MEMORY = 1.0
LEAST_STREAMED = 0.4
MOST_NOISE_COSTS = 0.20


class Yardstick:
    """k-space and targets of a set."""

    n_channels, n_classes = 2, 4

    def set_epoch(self, epoch):
        pass


class MemoryMap(Yardstick):
    """The arrays as they are; mapped privately, so that tensors may share its memory."""

    def __init__(self, kspace, target):
        self.files = (kspace, target)
        self.arrays = None
        self.count = len(np.load(kspace, mmap_mode="r"))

    def __len__(self):
        return self.count

    def __getstate__(self):
        return self.__dict__ | {"arrays": None}

    def __getitem__(self, position):
        if self.arrays is None:
            self.arrays = [np.load(file, mmap_mode="c") for file in self.files]
        kspace, target = (torch.from_numpy(array[position]) for array in self.arrays)
        return {"kspace": kspace, "target": target}


class PlainZarr(Yardstick):
    """The same slices through zarr's own reader."""

    def __init__(self, store, subjects):
        self.store, self.subjects, self.groups = store, subjects, None
        self.each = len(store.read(subjects[0], "te"))

    def __len__(self):
        return len(self.subjects) * self.each

    def __getstate__(self):
        return self.__dict__ | {"groups": None}

    def __getitem__(self, position):
        if self.groups is None:
            self.groups = [self.store.open_subject(subject) for subject in self.subjects]
        subject, number = divmod(position, self.each)
        group = self.groups[subject]
        return {
            "kspace": torch.from_numpy(np.asarray(group["full"][number])),
            "target": torch.from_numpy(np.asarray(group["target"][number])),
        }


def stores(folder, n_subjects):
    """A noise-free and a noisy set of the same subjects, all of one head."""
    subjects = tuple(f"head-{number:03d}" for number in range(n_subjects))
    quiet, noisy = DatasetStore(folder / "quiet.zarr"), DatasetStore(folder / "noisy.zarr")
    quiet.create(QUIET.recipe())
    noisy.create(NOISY.recipe())
    made = KSpaceMaker(QUIET).make(subjects[0])
    full = made.arrays["full"]
    for subject in subjects:
        quiet.write_subject(subject, made.arrays, provenance(QUIET, subject) | made.provenance)
        values = full.values.copy()
        add_noise(values, read_noise(quiet, subject, NOISY.noise))
        arrays = made.arrays | {"full": StoredArray(values, full.dimensions)}
        noisy.write_subject(subject, arrays, provenance(NOISY, subject) | made.provenance)
    return quiet, noisy, subjects


def slices_a_second(loaders, n_slices, device, clock=time.perf_counter):
    """Best of a few epochs of each loader, after one that starts workers and warms up.

    The loaders take turns, so that whatever else the machine does meets all of them.
    """
    times = [[] for _ in loaders]
    epochs = EPOCHS if clock is time.perf_counter else EPOCHS_ALONE
    for epoch in range(epochs + 1):
        for loader, of_loader in zip(loaders, times, strict=True):
            with contextlib.suppress(AttributeError):
                loader.sampler.set_epoch(epoch)
            start = clock()
            for batch in loader:
                last = {k: v.to(device) for k, v in batch.items() if isinstance(v, torch.Tensor)}
            if device.type == "cuda":
                torch.cuda.synchronize()
            of_loader.append(clock() - start)
            del last
    return [n_slices / min(of_loader[1:]) for of_loader in times]


def alone(device):
    """The clock of work in one process: other jobs do not count, unless a GPU works."""
    return time.perf_counter if device.type == "cuda" else time.process_time


def loader(data, workers=0):
    return training_loader(data, batch_size=BATCH, seed=0, workers=workers)


def reading(noisy, subjects, folder, device, workers):
    """Slices a second of every way to read, and the yardsticks."""
    options = {"sampling": Gaussian1D(), "masks": "fresh", "content": "kspace"}
    memory = ZeroFilledSlices(noisy.path, subjects, **options)
    files = (folder / "kspace.npy", folder / "target.npy")
    np.save(files[0], memory.kspace.numpy())
    np.save(files[1], memory.target.numpy())
    streamed = StreamedSlices(noisy.path, subjects, **options)
    resident = DeviceSlices(memory, device=device, batch_size=BATCH, order_seed=0)
    here = {
        "memory map": (loader(MemoryMap(*files)), None),
        "preloaded": (loader(memory), None),
        "device-resident": (resident, LEAST_IN_MEMORY),
    }
    apart = {
        f"memory map, {workers} workers": (loader(MemoryMap(*files), workers), None),
        f"zarr, {workers} workers": (loader(PlainZarr(noisy, subjects), workers), None),
        f"streamed, {workers} workers": (loader(streamed, workers), LEAST_STREAMED),
    }
    missed = False
    print(f"{'reading alone':32}{'slices/s':>10}{'ratio':>8}{'least':>8}")
    for ways, clock in ((here, alone(device)), (apart, time.perf_counter)):
        found = slices_a_second([way for way, _ in ways.values()], len(memory), device, clock)
        for (name, (_, least)), speed in zip(ways.items(), found, strict=True):
            ratio = speed / found[0]
            missed |= least is not None and ratio < least
            print(f"{name:32}{speed:10.0f}{ratio:8.2f}{least or '':>8}")
    return missed


def noise(quiet, noisy, subjects, device, workers):
    """What noise adds to the time of an epoch of network input."""
    options = {"sampling": Gaussian1D(), "masks": "fresh"}
    clean = ZeroFilledSlices(quiet.path, subjects, **options)
    start = time.perf_counter()
    ZeroFilledSlices(quiet.path, subjects, **options)
    once_clean = time.perf_counter() - start
    start = time.perf_counter()
    added = ZeroFilledSlices(quiet.path, subjects, noise_on_read=NOISY.noise, **options)
    once_noisy = time.perf_counter() - start
    fresh = ZeroFilledSlices(
        quiet.path, subjects, noise="fresh", noise_on_read=NOISY.noise, **options
    )
    batches = {"device": device, "batch_size": BATCH, "order_seed": 0}
    pairs = {
        "added once (default), device-resident": (
            DeviceSlices(clean, **batches),
            DeviceSlices(added, **batches),
            MOST_NOISE_COSTS,
        ),
        "fresh each epoch, device-resident": (
            DeviceSlices(clean, **batches),
            DeviceSlices(fresh, **batches),
            None,
        ),
        f"on each read, streamed, {workers} workers": (
            loader(StreamedSlices(noisy.path, subjects, **options), workers),
            loader(
                StreamedSlices(quiet.path, subjects, noise_on_read=NOISY.noise, **options), workers
            ),
            None,
        ),
    }
    missed = False
    print(f"\n{'noise added on read':38}{'without':>10}{'with':>10}{'cost':>8}{'most':>8}")
    for name, (without, with_noise, most) in pairs.items():
        clock = alone(device) if isinstance(without, DeviceSlices) else time.perf_counter
        fast, slow = slices_a_second([without, with_noise], len(clean), device, clock)
        cost = fast / slow - 1
        missed |= most is not None and cost > most
        limit = "" if most is None else f"{most:.0%}"
        print(f"{name:38}{fast:10.0f}{slow:10.0f}{cost:8.0%}{limit:>8}")
    print(
        f"once, when the set is loaded: {once_clean:.2f} s without noise, {once_noisy:.2f} s with"
    )
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.set_num_threads(1)
    print(f"{platform.machine()}, torch {torch.__version__}, {device}; batches of {BATCH}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        quiet, noisy, subjects = stores(folder, options.subjects)
        group = noisy.subject_path(subjects[0])
        size = sum(file.stat().st_size for file in (group / "full").rglob("*") if file.is_file())
        stored = noisy.read(subjects[0], "full").nbytes
        assert (group / f"masks/{FIXED_MASK}").is_dir()
        print(f"{len(subjects)} subjects; k-space is compressed {stored / size:.2f} times\n")
        missed = reading(noisy, subjects, folder, device, options.workers)
        missed |= noise(quiet, noisy, subjects, device, options.workers)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
