"""What the tests of networks and training share."""

import pytest
import torch
from discs import Discs


@pytest.fixture
def discs():
    """The class, to be called with the number of slices."""
    return Discs


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Several threads only get in each other's way on such small images."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _same_weights_in_any_order():
    """Weights that a test draws do not depend on the tests before it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@pytest.fixture
def random_images():
    """Reproducible normal numbers of a given shape."""

    def draw(*shape):
        return torch.randn(*shape, generator=torch.Generator().manual_seed(0))

    return draw
