"""The main job on three real BrainWeb subjects, and the statistics of the k-space it makes."""

import math

import pytest
import torch
from real_data import BRAINWEB20, needs_brainweb20

from spinforge.datasets.products.making import make_subject
from spinforge.datasets.storage.store import DatasetStore
from spinforge.flows.config import load_study
from spinforge.flows.run_folder import RunFolder
from spinforge.flows.study import study as study_flow
from spinforge.simulation.fourier import image_to_kspace
from spinforge.simulation.noise import Noise

pytestmark = needs_brainweb20


@pytest.fixture(scope="module")
def real(prefect_server, repository, tmp_path_factory):
    """Run folder and answer of a short study on real subjects."""
    out = tmp_path_factory.mktemp("real")
    study = load_study(
        repository / "studies" / "brainweb.yaml",
        [
            f"out={out}",
            f"data.path={BRAINWEB20}",
            "data.subjects={train: 1, validation: 1, test: [subject06]}",
            "networks=[{kind: unet, width: 8}]",
            "training={epochs: 8, learning_rate: 0.003, precision: bf16}",
        ],
    )
    answer = study_flow(study)
    return RunFolder.of(study), answer


def array(real, name):
    return torch.from_numpy(real[0].store.read("subject06", name))


def test_the_job_ends_with_a_report_and_a_segmentation(real):
    folder, answer = real
    assert folder.report.is_file()
    # Forty steps of a small network: calling everything background would score 0.
    assert answer["dice"]["unet"] > 0.3


def test_57_slices_of_180_lines_and_216_samples(real):
    assert array(real, "full").shape == (57, 1, 180, 216)
    assert array(real, "target").shape == (57, 180, 216)


def test_noise_std_is_ten_percent_of_white_matter(real):
    noise = array(real, "full")[:, 0] - image_to_kspace(array(real, "image_clean"))
    expected = 0.10 * array(real, "wm_signal")[0].item()
    assert array(real, "noise_sigma")[0].item() == pytest.approx(expected, rel=1e-6)
    # 2.2 million samples: the standard error of a std is 0.05 %; 1 % is the promise.
    assert noise.real.std().item() == pytest.approx(expected, rel=0.01)
    assert noise.imag.std().item() == pytest.approx(expected, rel=0.01)


def test_white_matter_voxels_have_the_white_matter_signal(real):
    pure = array(real, "target_soft")[:, 3] == 255
    signal = array(real, "image_clean").abs()[pure]
    expected = array(real, "wm_signal")[0].item()
    torch.testing.assert_close(signal, torch.full_like(signal, expected), rtol=1e-5, atol=0)


def test_exactly_54_lines_with_the_16_central_ones(real):
    masks = array(real, "masks/fixed")
    assert masks.sum(1).tolist() == [54] * 57
    assert masks[:, 82:98].all()
    assert len({tuple(mask.tolist()) for mask in masks}) == 57


@pytest.fixture(scope="module")
def noise_free(real, tmp_path_factory):
    """The same subject without noise: its stored k-space, (slice, ky, kx)."""
    study = load_study(real[0].study_file)
    product = study.data.model_copy(update={"noise": Noise(percent=0)})
    store = DatasetStore(tmp_path_factory.mktemp("noise-free") / "set.zarr")
    store.create(product.recipe())
    make_subject(product, "subject06", store)
    return torch.from_numpy(store.read("subject06", "full"))[:, 0]


def energy(values):
    return values.to(torch.complex128).abs().square().sum().item()


def test_stored_kspace_has_the_energy_of_the_image_and_of_the_noise(real, noise_free):
    clean = energy(array(real, "image_clean"))
    assert energy(noise_free) == pytest.approx(clean, rel=1e-6)
    sigma, n = array(real, "noise_sigma")[0].item(), noise_free.numel()
    # |s + n|^2 has mean |s|^2 + 2 sigma^2 and variance 4 sigma^2 |s|^2 + 4 sigma^4.
    standard_error = math.sqrt(4 * sigma**2 * clean + 4 * sigma**4 * n)
    expected = clean + 2 * sigma**2 * n
    assert abs(energy(array(real, "full")) - expected) < 4 * standard_error


def test_stored_kspace_of_every_slice_is_far_from_hermitian(noise_free):
    kspace = noise_free[:, 1:, 1:]  # about the centre, N / 2: every frequency has its mirror
    difference = (kspace - kspace.flip(-2, -1).conj()).flatten(1).norm(dim=1)
    assert (difference / kspace.flatten(1).norm(dim=1) > 0.05).all()
