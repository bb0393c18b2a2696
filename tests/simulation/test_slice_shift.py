"""Off-resonant tissue is excited beside its slice, by a fraction of the thickness."""

import pytest
import torch

from spinforge.simulation.acquisition import simulate_scan
from spinforge.simulation.noise import Noise
from spinforge.simulation.phantom import Phantom
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import SpinEcho
from spinforge.simulation.slice_shift import excited_memberships
from spinforge.simulation.slices import Slices, slice_memberships
from spinforge.simulation.tissue import HEAD_TISSUES, Tissue

SLICES = Slices(thickness_mm=12, count=12)
QUIET = Noise(percent=0)


def layers(boundary):
    """Fat below a plane, muscle above, 4 mm voxels."""
    memberships = torch.zeros(len(HEAD_TISSUES), 45, 54, 45)
    memberships[Tissue.FAT, :, :, :boundary] = 1
    memberships[Tissue.MUSCLE, :, :, boundary:] = 1
    return Phantom("layers", memberships, 4.0, "test", "")


def excited(phantom, frequencies, profile="box", bandwidth_hz=1000.0):
    zero = torch.zeros(SLICES.count, 45, 54)
    return excited_memberships(
        phantom,
        SLICES,
        profile,
        frequency_hz=lambda tissue: zero + frequencies.get(tissue, 0.0),
        bandwidth_hz=bandwidth_hz,
    )


@pytest.mark.parametrize("profile", ["box", "gaussian", "sinc"])
def test_on_resonance_a_slice_excites_what_lies_in_it(profile):
    head = generate_head("head-000", seed=0, spacing_mm=4.0)
    found = excited(head, {}, profile)
    torch.testing.assert_close(found, slice_memberships(head, SLICES, profile), rtol=0, atol=1e-6)


@pytest.mark.parametrize("frequency", [-447.0, -100.0, 250.0])
def test_fat_is_excited_by_its_frequency_over_the_bandwidth(frequency):
    """Of the boundary at plane 20, two planes into slice 6 of three planes each."""
    fat = excited(layers(20), {Tissue.FAT: frequency})[:, Tissue.FAT]
    # A slice takes the fat that lies f / BW of its thickness above it: the edge sinks by that.
    edge = 20 / 3 - frequency / 1000
    expected = (edge - torch.arange(12.0)).clamp(0, 1)
    torch.testing.assert_close(fat[:, 20, 20], expected, rtol=0, atol=1e-5)


def test_water_stays_where_it_is_when_only_fat_is_shifted():
    muscle = excited(layers(20), {Tissue.FAT: -447.0})[:, Tissue.MUSCLE]
    expected = slice_memberships(layers(20), SLICES)[:, Tissue.MUSCLE]
    torch.testing.assert_close(muscle, expected, rtol=0, atol=1e-6)


def test_a_scan_shifts_the_signal_but_not_the_labels():
    head = generate_head("head-000", seed=0, spacing_mm=4.0)
    scans = {
        bandwidth: simulate_scan(
            head,
            SLICES,
            SpinEcho(),
            QUIET,
            Scanner(readout=True, tissue_set="mrilab_3T", rf_bandwidth_hz=bandwidth),
            seed=0,
        )
        for bandwidth in (0.0, 1500.0, 1e5)
    }
    assert torch.equal(scans[0.0].target, scans[1500.0].target)

    def difference(bandwidth):
        return float((scans[bandwidth].image - scans[0.0].image).abs().max())

    # -447 Hz of 1500 shift fat by 3.6 mm, of 100 000 by 0.05 mm.
    assert difference(1500.0) > 20 * difference(1e5) > 0
