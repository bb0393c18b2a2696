"""Every network compiles without a break in its graph, and computes the same.

`network_gate` has all networks at their papers' widths, with the compiler that writes C++; the
slow tests a few of them, mostly without it: where a graph breaks does not depend on it.
"""

import time

import pytest
import torch
from network_gates import CASES, compilable, four_slices, gate_size, narrow, settle

# One of each encoder, decoder, cell and block that a graph may break at; SegNetMRI and blocks of
# kind autoencoder are compiled in the tests of networks that start from k-space.
REPRESENTATIVES = [
    *("crdn-unet-lstm", "crdn-unet-gru", "crdn-resnet50-rnn", "fcn-unet", "segnet-unet"),
    *("unet-unet", "fcslstm", "seranet-1-a", "res-unet-28", "hle-net"),
]

pytestmark = [
    # PyTorch's compiler imports what PyTorch itself declares outdated,
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
    # and leaves Fourier transforms to PyTorch's own, as they should be.
    pytest.mark.filterwarnings("ignore:.*code generation for complex operators:UserWarning"),
]


@pytest.fixture(autouse=True)
def _compilable():
    with compilable():
        yield


def compiled_difference(case, *, backend):
    """In evaluation: seconds to compile, and the largest difference over the largest logit."""
    given, _ = four_slices(case, gate_size(case))
    network = settle(case.build(), given)
    compiled = torch.compile(network, fullgraph=True, dynamic=False, backend=backend)
    with torch.inference_mode():
        expected = case.logits(network, given)
        start = time.perf_counter()
        found = case.logits(compiled, given)
        seconds = time.perf_counter() - start
    return seconds, ((found - expected).abs().max() / expected.abs().max()).item()


def assert_compiled_step_is_the_eager_one(case):
    """Loss to 1e-4, and gradients to 1e-3 of the largest: batch normalisation divides twice."""
    eager_loss, eager_gradient = loss_and_gradient(case)
    loss, gradient = loss_and_gradient(case, fullgraph=True, dynamic=False, backend="aot_eager")
    torch.testing.assert_close(loss, eager_loss, rtol=1e-4, atol=0.0)
    scale = eager_gradient.abs().max().item()
    assert scale > 0
    torch.testing.assert_close(gradient, eager_gradient, rtol=0.0, atol=1e-3 * scale)


def loss_and_gradient(case, **how_compiled):
    """Of a fresh network's first step, compiled if it is said how."""
    given, target = four_slices(case, gate_size(case))
    network = case.build()
    run = torch.compile(network, **how_compiled) if how_compiled else network
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # of dropout
        loss = case.loss(case.logits(run, given), target)
    loss.backward()
    # SegNetMRI's last image is read by nobody: it has no gradient, or zeros if compiled.
    gradients = [
        torch.zeros_like(weight) if weight.grad is None else weight.grad
        for weight in network.parameters()
    ]
    return loss.detach(), torch.cat([gradient.flatten() for gradient in gradients])


@pytest.mark.network_gate
@pytest.mark.parametrize("name", CASES)
def test_compiled_network_is_one_graph_and_answers_the_same(name, record_property):
    seconds, difference = compiled_difference(CASES[name], backend="inductor")
    record_property("network", name)
    record_property("compile_seconds", f"{seconds:.0f}")
    record_property("difference", f"{difference:.1e}")
    assert difference < 1e-4


@pytest.mark.network_gate
@pytest.mark.parametrize("name", CASES)
def test_compiled_training_step_is_one_graph_and_the_same(name, record_property):
    start = time.perf_counter()
    assert_compiled_step_is_the_eager_one(CASES[name])
    record_property("network", name)
    record_property("step_seconds", f"{time.perf_counter() - start:.0f}")


@pytest.mark.slow
@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_representatives_compile_as_one_graph_to_be_trained(name):
    assert_compiled_step_is_the_eager_one(narrow(CASES[name]))


@pytest.mark.slow
def test_a_representative_is_compiled_to_machine_code():
    _, difference = compiled_difference(narrow(CASES["fully-sampled"]), backend="inductor")
    assert difference < 1e-4
