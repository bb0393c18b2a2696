"""Slices that are scanned anew in each epoch: fresh timing, fields, noise and masks.

The anatomy of each subject is kept on the device as what its slices hold. In each epoch every
subject has another scan, simulated as a whole when its first slice is asked for; so a slice
depends on the seed, the epoch, the subject and its number, and not on the batch, the order, or
where a training was resumed: bit for bit on one kind of device. In `fresh_heads.py` the subjects
are others, too.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from spinforge.datasets.products.kspace_settings import KSpaceProduct
from spinforge.datasets.reading.fresh_noise import add_noise_on_lines, sent
from spinforge.datasets.reading.loading import Content
from spinforge.simulation.acquisition import check_scan, noise_free_kspace
from spinforge.simulation.arrays import CoilKSpace, CoilMaps, Labels, SliceMemberships
from spinforge.simulation.config import content_hash
from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.errors import SpinforgeError
from spinforge.simulation.noise import noise_std, reference_signal
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.philox import sample_keys
from spinforge.simulation.reconstruction import intensity_scale, real_channels, zero_filled_combined
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling import draw_line_mask
from spinforge.simulation.scan_fields import coil_maps, scan_fields
from spinforge.simulation.scan_parameters import (
    ScanParameters,
    draw_scan_parameters,
    line_phases,
)
from spinforge.simulation.slices import slice_memberships, slice_targets, warped
from spinforge.simulation.tissue import TARGET_NAMES
from spinforge.simulation.tissue_sets import TISSUE_SETS, with_factors

_PROCESSOR = torch.device("cpu")


@dataclass(frozen=True)
class Anatomy:
    """What of a subject is the same in every scan.

    Attributes:
        phantom: Without its memberships, which are large.
        memberships: What each slice holds.
        target: Labels of every slice.
        off_resonance: Of every voxel [Hz], and its range in the field of view.
    """

    phantom: Phantom
    memberships: SliceMemberships
    target: Labels
    off_resonance: Tensor
    off_resonance_range: tuple[float, float]

    def to(self, device: torch.device) -> "Anatomy":
        """The same with memberships and labels there."""
        return replace(self, memberships=self.memberships.to(device), target=self.target.to(device))


@dataclass(frozen=True)
class FreshScan:
    """One subject's scan of one epoch, without noise."""

    subject: str
    kspace: CoilKSpace
    maps: CoilMaps
    target: Labels
    noise_std: float


class SimulatedSlices(Dataset[dict[str, Any]]):
    """Slices of scans that nobody stored; satisfies `SliceDataset`.

    They show what `ZeroFilledSlices` do: zero-filled images, or with `showing` measurements.

    Tissues keep the relaxation that the subject has in a stored set of the same seed. Noise is
    that of `philox.py`; coils are uncorrelated unless the scanner says otherwise.

    Args:
        phantoms: The subjects, one at a time; their volumes are not kept.
        product: How they are scanned; its seed is the tissues', `subjects` and paths are unused.
        seed: Seed of everything that is fresh.
        device: Where to simulate and to keep the slices.

    Raises:
        SpinforgeError: If there are no phantoms, they do not fit the scan, or the product has what
            cannot be simulated slice by slice.
    """

    n_channels = 2
    n_classes = len(TARGET_NAMES)

    def __init__(
        self,
        phantoms: Iterable[Phantom],
        product: KSpaceProduct,
        *,
        seed: int,
        device: torch.device,
    ) -> None:
        check_fresh_scans(product)
        self._product, self._seed, self._device = product, seed, device
        self._anatomy = {
            phantom.subject: anatomy_of(phantom, product).to(device) for phantom in phantoms
        }
        digests = [anatomy.phantom.digest for anatomy in self._anatomy.values()]
        self._prepare(tuple(self._anatomy), digests)

    def _prepare(self, names: tuple[str, ...], digests: list[str]) -> None:
        """What follows from the names of the scanned and the digests of their phantoms."""
        if not names:
            raise SpinforgeError("there are no phantoms to scan")
        product = self._product
        self.index = [(name, number) for name in names for number in range(product.slices.count)]
        self.digest = content_hash(
            {"recipe": product.recipe(), "seed": self._seed, "phantoms": digests}
        )
        self.content: Content = "image"
        self._epoch = 0
        self._scans: dict[str, FreshScan] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets, whose device may be another one."""
        here = {name: anatomy.to(_PROCESSOR) for name, anatomy in self._anatomy.items()}
        return self.__dict__ | {"_anatomy": here, "_scans": {}}

    def showing(self, content: Content) -> "SimulatedSlices":
        """The same slices with another content."""
        other = copy.copy(self)
        other.content, other._scans = content, {}
        return other

    def __len__(self) -> int:
        return len(self.index)

    def set_epoch(self, epoch: int) -> None:
        """Forget the scans of another epoch."""
        if epoch != self._epoch:
            self._scans.clear()
        self._epoch = epoch

    def __getitem__(self, position: int) -> dict[str, Any]:
        """One slice on the device, as of `ZeroFilledSlices` with the same content."""
        item = {name: values[0] for name, values in self._batch([position]).items()}
        return item | {"slice": int(item["slice"])}

    def __getitems__(self, positions: Sequence[int]) -> dict[str, Any]:
        """A batch, as the loaders would put it together; on a GPU computed in one piece.

        On the processor one by one, as transforms of a batch may round differently.
        """
        if self._device.type != "cpu":
            return self._batch(positions)
        batch: dict[str, Any] = default_collate([self[position] for position in positions])
        return batch

    def _batch(self, positions: Sequence[int]) -> dict[str, Any]:
        """Slices on the device, without waiting for it."""
        places = [self.index[position] for position in positions]
        scans = [(self._scan(name), number) for name, number in places]
        paths = [("on-the-fly", n, f"slice-{i:03d}", f"epoch-{self._epoch}") for n, i in places]
        kspace = torch.stack([scan.kspace[number] for scan, number in scans])
        target = torch.stack([scan.target[number] for scan, number in scans])
        n_lines, sampling = kspace.shape[-2], self._product.sampling
        masks = torch.stack(
            [draw_line_mask(sampling, n_lines, SampleRng(self._seed, *p, "mask")) for p in paths]
        )
        # A zero-filled image does not show the other lines.
        lines = masks if self.content == "image" else torch.ones_like(masks)
        std = torch.tensor([scan.noise_std for scan, _ in scans])
        keys = sample_keys([(*path, "noise") for path in paths], seed=self._seed)
        add_noise_on_lines(kspace, lines, keys, std, self._product.scanner.coil_correlation)
        named = {
            "subject": [scan.subject for scan, _ in scans],
            "slice": torch.tensor([number for _, number in scans]),
        }
        if self.content == "kspace":
            return {"kspace": kspace, "target": target, **named}
        there = sent(masks, self._device)
        maps = torch.stack([s.maps[number if len(s.maps) > 1 else 0] for s, number in scans])
        image = zero_filled_combined(kspace, there, maps)
        scale = intensity_scale(image)[:, None, None]
        shown = {"image": real_channels(image / scale)}
        if self.content == "measurement":
            shown = {"kspace": kspace / scale[:, None], "mask": there}
            if kspace.shape[1] > 1:  # the maps of a single coil are not used
                shown["sensitivities"] = maps
        return {**shown, "target": target.long(), **named}

    def _drawn(self, phantom: Phantom, epoch: int | None = None) -> ScanParameters:
        """Parameters of an epoch's scan; of the stored set's, where no epoch is given."""
        product = self._product
        seed = product.seed
        if epoch is not None:
            words = SampleRng(self._seed, "on-the-fly", "scans", epoch).uniforms(1)
            seed = int(words[0] * 2**52)
        return draw_scan_parameters(
            phantom.subject, phantom.tissues, product.scan, product.scanner, seed=seed
        )

    def _scan(self, subject: str) -> FreshScan:
        """This epoch's scan of a subject, simulated when it is asked for first."""
        if subject not in self._scans:
            self._scans[subject] = self._simulate(self._anatomy[subject].to(self._device))
        return self._scans[subject]

    def _simulate(self, anatomy: Anatomy) -> FreshScan:
        product, phantom = self._product, anatomy.phantom
        scanner, slices = product.scanner, product.slices
        tissue_factors = self._drawn(phantom).tissue_factors
        drawn = replace(self._drawn(phantom, self._epoch), tissue_factors=tissue_factors)
        properties = with_factors(TISSUE_SETS[scanner.tissue_set].properties, tissue_factors)
        # The main field's deviation is the anatomy's; the others are this scan's.
        without_b0 = scanner.model_copy(update={"b0": "none"})
        fields = replace(
            scan_fields(phantom, slices, without_b0, drawn),
            off_resonance=anatomy.off_resonance,
            off_resonance_range=anatomy.off_resonance_range,
        )
        maps = coil_maps(phantom, slices, scanner, drawn)
        kspace = noise_free_kspace(
            anatomy.memberships,
            phantom.tissues,
            properties,
            fields,
            maps,
            scanner,
            drawn.sequence,
            device=str(self._device),
        )
        angles = line_phases(drawn, scanner, len(kspace), kspace.shape[-2]).to(self._device)
        kspace *= torch.polar(torch.ones_like(angles), angles).to(kspace.dtype)[:, None, :, None]
        amplitudes = nominal_amplitudes(drawn.sequence, properties, phantom.tissues)
        nothing = torch.zeros(1, 1, 1, dtype=torch.complex64)
        reference = reference_signal(
            product.noise, drawn.sequence, phantom.tissues, amplitudes, nothing
        )
        std = noise_std(product.noise, reference, slices.thickness_mm)
        return FreshScan(phantom.subject, kspace, maps.to(self._device), anatomy.target, std)


def anatomy_of(phantom: Phantom, product: KSpaceProduct) -> Anatomy:
    """What is needed of a phantom in every scan, on the processor.

    Raises:
        SpinforgeError: If it does not fit the scan.
    """
    scanner = product.scanner
    check_scan(phantom, product.scan, scanner, product.noise)
    memberships = slice_memberships(phantom, product.slices, scanner.slice_profile)
    if scanner.warp_mm:
        memberships = warped(memberships, scanner.warp_mm, phantom.spacing_mm)
    codes = torch.tensor(phantom.tissues, dtype=torch.uint8)
    drawn = draw_scan_parameters(
        phantom.subject, phantom.tissues, product.scan, scanner, seed=product.seed
    )
    fields = scan_fields(phantom, product.slices, scanner, drawn)
    return Anatomy(
        replace(phantom, memberships=torch.zeros(len(phantom.tissues), 1, 1, 1)),
        memberships,
        slice_targets(memberships, codes),
        fields.off_resonance,
        fields.off_resonance_range,
    )


def check_fresh_scans(product: KSpaceProduct) -> None:
    """Refuse what is not simulated on the fly.

    Raises:
        SpinforgeError: If the product has it.
    """
    unsupported = {
        "scanner.supersample": product.scanner.supersample != 1,
        "scanner.rf_bandwidth_hz": bool(product.scanner.rf_bandwidth_hz),
        "noise.reference": product.noise.reference in ("rms", "max"),
    }
    if named := [name for name, is_set in unsupported.items() if is_set]:
        raise SpinforgeError(
            f"data.{', data.'.join(named)}: cannot be simulated on the fly. Generate the set and "
            f"read it, or leave these at their defaults."
        )
