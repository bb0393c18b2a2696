"""The slice profiles against a 1-D Bloch simulation of the pulses they stand for."""

import math

import pytest
import torch

from spinforge.simulation.slices import profile_weights

PLANES = 3  # of 1 mm in a slice of 3 mm

STEPS = 400
TIME = (torch.arange(STEPS, dtype=torch.float64) + 0.5) / STEPS - 0.5  # of the pulse's duration
HEIGHT = (torch.arange(6000, dtype=torch.float64) + 0.5) / 1000 - 3  # in slices


def windowed_sinc(time_bandwidth):
    """Hamming-windowed, time_bandwidth zero crossings long."""
    window = 0.54 + 0.46 * torch.cos(2 * math.pi * TIME)
    return torch.sinc(time_bandwidth * TIME) * window


def gaussian(cut_sd):
    """Cut off at so many standard deviations on either side."""
    return torch.exp(-0.5 * (2 * cut_sd * TIME) ** 2)


def transverse(envelope, cycles, flip=math.pi / 2):
    """|Mxy| after a pulse where HEIGHT 1 precesses by `cycles` over its duration.

    Hard pulses about x, each between two halves of its precession about z.
    """
    flips = (envelope * flip / envelope.sum()).tolist()
    half_turn = torch.polar(torch.ones_like(HEIGHT), -math.pi * cycles * HEIGHT / STEPS)
    xy, z = torch.zeros_like(half_turn), torch.ones_like(HEIGHT)
    for step in flips:
        xy = xy * half_turn
        y, cosine, sine = xy.imag, math.cos(step), math.sin(step)
        xy, z = torch.complex(xy.real, cosine * y + sine * z), cosine * z - sine * y
        xy = xy * half_turn
    assert float((xy.abs() ** 2 + z**2 - 1).abs().max()) < 1e-9
    return xy.abs()


def plane_weights(envelope, cycles):
    """Share of each voxel plane.

    The gradient, at first of that many cycles a slice, is set for a full width of one slice.
    """
    profile = transverse(envelope, cycles)
    inside = HEIGHT[profile >= profile.max() / 2]
    profile = transverse(envelope, cycles * float(inside.max() - inside.min()))
    kept = profile[HEIGHT.abs() < 1.5]
    assert float(kept.sum() / profile.sum()) > 0.995  # beyond one slice further there is nothing
    # Linear between samples of 1/1000 of a slice, so that planes need not hold whole ones.
    integral = torch.cat((torch.zeros(1, dtype=torch.float64), kept.cumsum(0)))
    edges = torch.linspace(0, len(kept), 3 * PLANES + 1, dtype=torch.float64)
    below = edges.long().clamp(max=len(kept) - 1)
    at_edges = torch.lerp(integral[below], integral[below + 1], edges - below)
    return at_edges.diff() / integral[-1]


# Measured differences: .033 for the shortest sinc pulse to .012 for the longest.
@pytest.mark.parametrize(
    ("time_bandwidth", "tolerance"), [(4, 0.035), (5, 0.026), (6, 0.020), (7, 0.016), (8, 0.013)]
)
def test_sinc_profile_is_what_a_windowed_sinc_pulse_excites(time_bandwidth, tolerance):
    expected = plane_weights(windowed_sinc(time_bandwidth), time_bandwidth)
    found = profile_weights("sinc", PLANES).double()
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("cut_sd", [3, 4])
def test_gaussian_profile_is_what_a_gaussian_pulse_excites(cut_sd):
    """At 90 degrees the profile is squarer than the pulse's spectrum: by .021 a plane at most."""
    expected = plane_weights(gaussian(cut_sd), cycles=cut_sd)
    found = profile_weights("gaussian", PLANES).double()
    torch.testing.assert_close(found, expected, rtol=0, atol=0.022)


def test_a_weak_gaussian_pulse_excites_its_spectrum():
    """The Bloch simulation itself, where theory is linear: the Fourier transform of a Gaussian."""
    cut_sd, cycles, flip = 4, 5.0, math.radians(2)
    spectrum = torch.exp(-0.5 * (math.pi * cycles * HEIGHT / cut_sd) ** 2)
    profile = transverse(gaussian(cut_sd), cycles, flip) / math.sin(flip)
    # What is cut off at four deviations rings by exp(-8), the nonlinear terms are flip^2 / 6.
    torch.testing.assert_close(profile, spectrum, rtol=0, atol=1e-3)


def test_box_profile_is_the_slices_own_planes():
    torch.testing.assert_close(profile_weights("box", PLANES), torch.full((PLANES,), 1 / PLANES))
