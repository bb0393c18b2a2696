"""The engine gives the same numbers on a GPU, and touches nothing that lies elsewhere.

Without a GPU the same tests run on a pretended device: tensors that compute on the processor but,
like those of a GPU, refuse to meet tensors that were left on it. What runs there has every tensor
where it belongs, in the batches of a GPU; only a GPU's own arithmetic is left to a machine that has
one.
"""

import functools
from contextlib import nullcontext

import pytest
import torch
from head_slice import nrmse
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from spinforge.simulation import reconstruction
from spinforge.simulation.acquisition import (
    coil_maps,
    noise_free_kspace,
    scan_fields,
    simulate_scan,
)
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling import Gaussian1D, PartialFourier, draw_line_mask
from spinforge.simulation.scan_parameters import draw_scan_parameters
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import GradientEcho, SpinEcho
from spinforge.simulation.slices import Slices, slice_memberships
from spinforge.simulation.tissue_sets import TISSUE_SETS, with_factors

# ------------------------------------------------------------------ the pretended device

PRETENDED = "meta"
"""Name that PyTorch knows on every machine, and that has no arithmetic of its own."""

_aten = torch.ops.aten
# GPU tensors may be indexed by the processor's, and copied to and from it.
_INDEXING = {_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default}
_COPYING = {_aten._to_copy.default, _aten.copy_.default}
# Conjugates and negatives that are only marked as such are resolved above this layer.
_AT_ONCE = {_aten._conj.default: _aten.conj_physical, _aten._neg_view.default: _aten.neg}


class OnPretended(Tensor):
    """A tensor that says it lies on the pretended device; `held` has its values."""

    @staticmethod
    def __new__(cls, held):
        return Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=PRETENDED
        )

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


class PretendedDevice(TorchDispatchMode):
    """While it is active, tensors can be made on and moved to the pretended device."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


def _run(operation, args, kwargs):
    """Compute on the processor, after checking that a GPU would compute it too."""
    where = kwargs.get("device")
    flat, structure = tree_flatten((args, {k: v for k, v in kwargs.items() if k != "device"}))
    there = any(isinstance(value, OnPretended) for value in flat)
    if there and operation not in _COPYING:
        _check_together(operation, args if operation not in _INDEXING else [args[0], *args[2:]])
    held = [value.held if isinstance(value, OnPretended) else value for value in flat]
    plain_args, plain_kwargs = tree_unflatten(held, structure)
    if where is not None:
        plain_kwargs["device"] = "cpu"
        there = torch.device(where).type == PRETENDED
    result = _AT_ONCE.get(operation, operation)(*plain_args, **plain_kwargs)
    if operation._schema.is_mutable:
        return args[0]
    values, structure = tree_flatten(result)
    return tree_unflatten(
        [OnPretended(v) if there and isinstance(v, Tensor) else v for v in values], structure
    )


def _check_together(operation, args):
    for value in tree_flatten(args)[0]:
        # As on a GPU, a single number may come from the processor.
        if isinstance(value, Tensor) and not isinstance(value, OnPretended) and value.ndim:
            raise RuntimeError(f"{operation}: {tuple(value.shape)} was left on the processor")


def on_device(device, function):
    """What `function(device)` returns, on the processor."""
    with PretendedDevice() if device == PRETENDED else nullcontext():
        result = function(device)
        return result.cpu() if isinstance(result, Tensor) else result


def test_pretended_device_computes():
    x = torch.arange(12.0).view(3, 4)
    expected = torch.fft.fft(x)[:, 1:].abs().sum(0)
    found = on_device(PRETENDED, lambda device: torch.fft.fft(x.to(device))[:, 1:].abs().sum(0))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_pretended_device_refuses_tensors_left_on_the_processor():
    x = torch.ones(3)
    with PretendedDevice(), pytest.raises(RuntimeError, match="was left on the processor"):
        x.to(PRETENDED) + x
    with PretendedDevice(), pytest.raises(RuntimeError, match="was left on the processor"):
        torch.zeros(3, device=PRETENDED).add_(x)


# ------------------------------------------------------------------ the engine on a device

DEVICES = [
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="no GPU that PyTorch can use: CUDA is absent"
        ),
    ),
    pytest.param(PRETENDED, id="pretended"),
]
SCANNERS = [
    pytest.param(Scanner(profile=profile, coils=coils), id=f"{profile}-{coils}")
    for profile in ("ideal", "seranet")
    for coils in (1, 8)
]
SEQUENCES = [
    pytest.param(SpinEcho(), id="spin_echo"),
    pytest.param(GradientEcho(kind="gradient_echo", tr_ms=100, te_ms=20), id="gradient_echo"),
]
SLICES = Slices(thickness_mm=12, count=14)

TOLERANCE = 1e-5
"""Relative error; single precision rounds at 6e-8, and the transforms' sums at a few times that."""

on_every_device = pytest.mark.parametrize("device", DEVICES)


@functools.cache
def head() -> Phantom:
    return generate_head("sub-00", seed=0, spacing_mm=4.0)


def clean_kspace(scanner, sequence):
    """Makes the noise-free k-space of a head on a given device."""
    phantom = head()
    drawn = draw_scan_parameters(phantom.subject, phantom.tissues, sequence, scanner, seed=0)
    properties = with_factors(TISSUE_SETS[scanner.tissue_set].properties, drawn.tissue_factors)
    memberships = slice_memberships(phantom, SLICES, scanner.slice_profile)
    fields = scan_fields(phantom, SLICES, scanner, drawn)
    maps = coil_maps(phantom, SLICES, scanner, drawn)

    def on(device):
        return noise_free_kspace(
            memberships, phantom.tissues, properties, fields, maps, scanner, drawn.sequence,
            device=device,
        )  # fmt: skip

    return on


@on_every_device
@pytest.mark.parametrize("scanner", SCANNERS)
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_noise_free_kspace_agrees_with_the_processor(device, scanner, sequence):
    kspace = clean_kspace(scanner, sequence)
    found, expected = on_device(device, kspace), kspace("cpu").cpu()
    assert found.shape == expected.shape == (14, scanner.coils, 45, 54)
    assert nrmse(found, expected) < TOLERANCE


@on_every_device
@pytest.mark.parametrize("scanner", SCANNERS)
def test_a_whole_scan_agrees_and_lies_on_the_processor(device, scanner):
    def scan(where):
        return simulate_scan(head(), SLICES, SpinEcho(), Noise(), scanner, seed=0, device=where)

    found, expected = on_device(device, scan), scan("cpu")
    for name in ("kspace", "image", "coil_maps", "target_soft"):
        value = getattr(found, name)
        assert value.device.type == "cpu", name
        assert nrmse(value, getattr(expected, name)) < TOLERANCE, name
    assert torch.equal(found.target, expected.target)
    assert found.noise_std == pytest.approx(expected.noise_std, rel=TOLERANCE)


# ------------------------------------------------------------------ reconstruction on a device


@functools.cache
def eight_coils():
    return simulate_scan(
        head(), Slices(thickness_mm=12, count=3), SpinEcho(), Noise(), Scanner(coils=8), seed=0
    )


def zero_filled(kspace, mask, maps):
    return reconstruction.zero_filled(kspace, mask)


def zero_filled_combined(kspace, mask, maps):
    return reconstruction.zero_filled_combined(kspace, mask.expand(len(kspace), -1), maps)


def zero_filled_single(kspace, mask, maps):
    return zero_filled_combined(kspace[:, :1], mask, maps[:, :1])


def combine_coils(kspace, mask, maps):
    return reconstruction.combine_coils(kspace, maps)


def root_sum_of_squares(kspace, mask, maps):
    return reconstruction.root_sum_of_squares(kspace)


def network_input(kspace, mask, maps):
    image = zero_filled_combined(kspace, mask, maps)
    scale = reconstruction.intensity_scale(image)
    return reconstruction.real_channels(image / scale[:, None, None])


@on_every_device
@pytest.mark.parametrize(
    "helper",
    [
        zero_filled,
        zero_filled_combined,
        zero_filled_single,
        combine_coils,
        root_sum_of_squares,
        network_input,
    ],
)
def test_reconstruction_agrees_and_stays_on_its_device(device, helper):
    scan = eight_coils()
    mask = draw_line_mask(Gaussian1D(keep=0.5), 45, SampleRng(0, "mask"))
    arrays = (scan.kspace, mask, scan.coil_maps)

    def on(where):
        image = helper(*(array.to(where) for array in arrays))
        assert image.device.type == where
        return image

    assert nrmse(on_device(device, on), helper(*arrays)) < TOLERANCE


@on_every_device
def test_pocs_agrees_and_stays_on_its_device(device):
    kspace = eight_coils().kspace[:, 0]
    mask = draw_line_mask(PartialFourier(), 45, SampleRng(0, "mask"))

    def on(where):
        image = reconstruction.pocs(kspace.to(where), mask.to(where))
        assert image.device.type == where
        return image

    assert nrmse(on_device(device, on), reconstruction.pocs(kspace, mask)) < TOLERANCE
