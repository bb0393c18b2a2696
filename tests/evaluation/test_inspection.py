import pytest
import torch
from matplotlib.figure import Figure

from spinforge.evaluation.inspection import (
    acquisition_figure,
    contrast_figure,
    field_figure,
    tissue_figure,
)
from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.rng import SampleRng
from spinforge.simulation.sampling import Gaussian1D, draw_line_mask
from spinforge.simulation.scan_fields import scan_fields
from spinforge.simulation.scan_parameters import draw_scan_parameters
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import SpinEcho
from spinforge.simulation.slices import Slices

SLICES = Slices(thickness_mm=12, count=14)
SCANNER = Scanner(profile="seranet", coils=3)


@pytest.fixture(scope="module")
def head():
    return generate_head("head-000", seed=0, spacing_mm=4.0)


@pytest.fixture(scope="module")
def scan(head):
    return simulate_scan(head, SLICES, SpinEcho(), Noise(), SCANNER, seed=0)


def titles(figure: Figure) -> list[str]:
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def test_every_tissue_has_a_panel_with_its_membership(head):
    figure = tissue_figure(head)
    assert titles(figure)[:4] == ["background", "csf", "grey matter", "white matter"]
    assert len(titles(figure)) == 12 + 3
    shown = torch.from_numpy(figure.axes[3].images[0].get_array().data.T.copy())
    assert torch.equal(shown, head.memberships[3, :, :, 22])


def test_acquisition_shows_the_lines_and_the_target(scan):
    mask = draw_line_mask(Gaussian1D(acs_lines=4), 45, SampleRng(0, "m"))
    figure = acquisition_figure(scan, mask, 7)
    assert f"{int(mask.sum())} of 45 lines" in titles(figure)
    target = figure.axes[titles(figure).index("target")].images[0].get_array()
    assert (target.T == scan.target[7].numpy()).all()
    spread = figure.axes[4].lines[0].get_ydata()
    # The point itself is at the centre, 0 dB.
    assert spread.argmax() == 22
    assert spread.max() == pytest.approx(0, abs=1e-5)


def test_fields_show_every_coil(head, scan):
    drawn = draw_scan_parameters("head-000", head.tissues, SpinEcho(), SCANNER, seed=0)
    figure = field_figure(scan, scan_fields(head, SLICES, SCANNER, drawn), 7)
    assert titles(figure)[:5] == [
        "transmit field B1+",
        "off-resonance [Hz]",
        "coil 1",
        "coil 2",
        "coil 3",
    ]


def test_contrasts_stand_side_by_side(scan):
    figure = contrast_figure([("a", scan.image[7].abs()), ("b", scan.image[8].abs())])
    assert titles(figure) == ["a", "b"]


def test_what_a_contrast_is_compared_with_stands_below_it(scan):
    ours = [("a", scan.image[7].abs()), ("b", scan.image[8].abs())]
    figure = contrast_figure(ours, [None, ("theirs", scan.image[9].abs())])
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "", "theirs"]
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 0, 1]
    shown = figure.axes[3].images[0].get_array()
    assert torch.equal(torch.from_numpy(shown.data.T.copy()), scan.image[9].abs())
