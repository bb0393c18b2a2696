"""Slices of heads that exist for one epoch: new anatomies, scanned once and forgotten."""

import functools
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from typing import Any

import torch

from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.reading.simulated_slices import (
    Anatomy,
    FreshScan,
    SimulatedSlices,
    anatomy_of,
    check_fresh_scans,
)
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.head import generate_head, head_digest

_ARRAYS = ("memberships", "target", "off_resonance")


class FreshHeads(SimulatedSlices):
    """Slices of procedural heads, other ones in each epoch; satisfies `SliceDataset`.

    A head follows from the product's seed and its name, which holds the epoch: the same heads for
    any number of processes, and where a training goes on. None of them is in a stored set, whose
    names are others. Composing a head of 1 mm takes seconds of the processor; the scan is computed
    on the device.

    Args:
        count: Heads an epoch.
        product: How they are scanned; its seed is the heads' and their tissues'.
        seed: Seed of scans, masks and noise.
        device: Where to simulate the scans and to keep the slices.
        executor: Processes that make an epoch's heads all at once, and those of the next while this
            one trains; `close` takes back what was asked of them. None makes each head when its
            first slice is asked for.

    Raises:
        SpinforgeError: If the product has other phantoms, or what cannot be simulated slice by
            slice.
    """

    def __init__(
        self,
        count: int,
        product: KSpaceProduct,
        *,
        seed: int,
        device: torch.device,
        executor: Executor | None = None,
    ) -> None:
        check_fresh_heads(product)
        self._product, self._seed, self._device = product, seed, device
        self._executor, self._anatomy = executor, {}
        self._asked: dict[str, Future[dict[str, Any]]] = {}
        names = tuple(f"fresh-{number:03d}" for number in range(count))
        spacing_mm = float(product.spacing_mm)
        self._prepare(
            names,
            [
                head_digest(_head_of(name, 0), seed=product.seed, spacing_mm=spacing_mm)
                for name in names
            ],
        )
        self._names = names

    def set_epoch(self, epoch: int) -> None:
        """Forget the heads of another epoch."""
        super().set_epoch(epoch)
        wanted = {_head_of(name, e) for e in (epoch, epoch + 1) for name in self._names}
        for subject in self._asked.keys() - wanted:
            self._asked.pop(subject).cancel()

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets: it makes its heads itself."""
        return super().__getstate__() | {"_executor": None, "_asked": {}}

    def close(self) -> None:
        """Take back what was asked of the executor and is not begun; it may be asked again."""
        for future in self._asked.values():
            future.cancel()
        self._asked.clear()

    def _scan(self, name: str) -> FreshScan:
        """The scan of this epoch's head of that name, made when it is asked for first."""
        if name not in self._scans:
            anatomy = self._made(_head_of(name, self._epoch))
            self._scans[name] = self._simulate(anatomy.to(self._device))
        return self._scans[name]

    def _made(self, subject: str) -> Anatomy:
        make = functools.partial(_make, product=self._product)
        if self._executor is None:
            return _unpacked(make(subject))
        for epoch in (self._epoch, self._epoch + 1):
            for other in (_head_of(name, epoch) for name in self._names):
                is_scanned = epoch == self._epoch and _name_of(other) in self._scans
                if other not in self._asked and not is_scanned:
                    self._asked[other] = self._executor.submit(make, other)
        try:
            return _unpacked(self._asked.pop(subject).result())
        except BrokenProcessPool:
            raise SpinforgeError(
                "a process that makes new heads was killed, perhaps because the memory was full. "
                "Use fewer of them: --set workers=1"
            ) from None


def _head_of(name: str, epoch: int) -> str:
    """Subject of the head that has this name in an epoch."""
    return f"{name}-epoch-{epoch:04d}"


def _name_of(subject: str) -> str:
    return subject.rpartition("-epoch-")[0]


def check_fresh_heads(product: KSpaceProduct) -> None:
    """Refuse products whose heads are no equations, or not simulated on the fly.

    Raises:
        SpinforgeError: If that is so.
    """
    if product.phantom != "procedural":
        raise SpinforgeError(
            f"data.phantom = {product.phantom}: there are no new heads of these in each epoch. Set "
            f"training.fresh to scans, or data.phantom to procedural"
        )
    check_fresh_scans(product)


def _make(subject: str, product: KSpaceProduct) -> dict[str, Any]:
    """One head as plain arrays: tensors would go through shared memory, of which there is little.

    In containers it is often 64 MiB in all, and a head takes 100.
    """
    head = generate_head(subject, seed=product.seed, spacing_mm=float(product.spacing_mm))
    anatomy = anatomy_of(head, product)
    arrays = {name: getattr(anatomy, name).numpy() for name in _ARRAYS}
    about = {
        field.name: getattr(head, field.name)
        for field in fields(Phantom)
        if field.name != "memberships"
    }
    return {"arrays": arrays, "about": about, "range": anatomy.off_resonance_range}


def _unpacked(made: dict[str, Any]) -> Anatomy:
    about = made["about"]
    nothing = torch.zeros(len(about["tissues"]), 1, 1, 1)
    return Anatomy(
        Phantom(memberships=nothing, **about),
        **{name: torch.from_numpy(values) for name, values in made["arrays"].items()},
        off_resonance_range=made["range"],
    )
