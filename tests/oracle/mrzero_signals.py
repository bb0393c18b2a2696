"""Signals of MRzeroCore, an independent simulator, for tests/simulation/test_oracle.py.

Run in a process of its own, `python mrzero_signals.py INPUT.npz OUTPUT.npz`, because importing
MRzeroCore patches NumPy. It is never imported by Spinforge. Its phases turn the other way, so
off-resonance goes in with its sign changed.
"""

import math
import sys

import MRzeroCore as mr0  # noqa: N813 - the name its own documentation uses
import numpy as np
import torch

# States kept and thresholds below which they are left out: enough for images, exact for trains.
IMAGE = (200, 1e-4, 1e-3)
TRAIN = (5000, 1e-9, 1e-9)
SLICE_MM = 5.0


def build_phantom(given, b1=1.0):
    shape = given["proton_density"].shape
    affine = torch.eye(3, 4)
    affine[2, 2] = SLICE_MM

    def volume(name):
        return torch.tensor(given[name].astype(np.float32))[:, :, None]

    return mr0.VoxelGridPhantom(
        volume("proton_density"),
        volume("t1"),
        volume("t2"),
        volume("t2_prime"),
        torch.zeros(*shape, 1),
        -volume("off_resonance"),
        b1 * torch.ones(1, *shape, 1, dtype=torch.cfloat),
        torch.tensor(given["coils"].astype(np.complex64))[..., None],
        affine,
    ).build()


def play(sequence, phantom, precision):
    states, smallest, threshold = precision
    graph = mr0.compute_graph(sequence, phantom, states, smallest)
    return mr0.execute_graph(graph, sequence, phantom, threshold, threshold, print_progress=False)


def pulse(repetition, usage, angle, phase):
    repetition.pulse.usage = usage
    repetition.pulse.angle = torch.tensor(angle)
    repetition.pulse.phase = torch.tensor(phase)


def spin_echo(given, tr, te, dwell):
    """(coil, readout, phase) k-space; one dummy repetition, then a line each."""
    n_read, n_phase = given["proton_density"].shape
    sequence = mr0.Sequence()
    for line in range(-1, n_phase):
        ky = max(line, 0) - n_phase // 2
        excite = sequence.new_rep(1)
        pulse(excite, mr0.PulseUsage.EXCIT, math.pi / 2, math.pi / 2)
        excite.event_time[0] = te / 2
        excite.gradm[0, :2] = torch.tensor([n_read / 2, -ky])
        read = sequence.new_rep(n_read + 2)
        pulse(read, mr0.PulseUsage.REFOC, math.pi, 0.0)
        read.event_time[0] = te / 2 - n_read // 2 * dwell
        read.event_time[1:-1] = dwell
        read.gradm[1:-1, 0] = 1
        read.event_time[-1] = tr - te / 2 - read.event_time.sum()
        if line >= 0:
            read.adc_usage[:n_read] = 1
    return _as_grid(play(sequence, build_phantom(given), IMAGE), given)


def gradient_echo(given, tr, te, dwell, flip):
    """(coil, readout, phase) k-space; two dummy repetitions, then a line each."""
    n_read, n_phase = given["proton_density"].shape
    sequence = mr0.Sequence()
    for line in range(-2, n_phase):
        ky = max(line, 0) - n_phase // 2
        read = sequence.new_rep(n_read + 2)
        pulse(read, mr0.PulseUsage.EXCIT, flip, math.pi / 2)
        read.event_time[0] = te - n_read // 2 * dwell
        read.gradm[0, :2] = torch.tensor([-n_read / 2, ky])
        read.event_time[1:-1] = dwell
        read.gradm[1:-1, 0] = 1
        read.event_time[-1] = tr - read.event_time.sum()
        if line >= 0:
            read.adc_usage[:n_read] = 1
    return _as_grid(play(sequence, build_phantom(given), IMAGE), given)


def spin_echo_train(given, b1, spacing, count, crusher=5):
    """Echo amplitudes of 90 - (180)_n from equilibrium, crushers about every refocusing pulse."""
    sequence = mr0.Sequence()
    excite = sequence.new_rep(1)
    pulse(excite, mr0.PulseUsage.EXCIT, math.pi / 2, math.pi / 2)
    excite.event_time[0] = spacing / 2
    excite.gradm[0, 0] = crusher
    for _ in range(count):
        refocus = sequence.new_rep(2)
        pulse(refocus, mr0.PulseUsage.REFOC, math.pi, 0.0)
        refocus.event_time[:] = spacing / 2
        refocus.gradm[:, 0] = crusher
        refocus.adc_usage[0] = 1
    signal = play(sequence, build_phantom(given, b1), TRAIN)[:, 0]
    return signal.abs().numpy() / given["proton_density"].sum()


def _as_grid(signal, given):
    n_read, n_phase = given["proton_density"].shape
    lines = signal.reshape(n_phase, n_read, -1)
    return lines.permute(2, 1, 0).numpy()


def main():
    given = dict(np.load(sys.argv[1]))
    te, dwell = float(given["te"]), float(given["dwell"])
    result = {
        "spin_echo": spin_echo(given, 3.0, 0.08, dwell),
        "gradient_echo": gradient_echo(given, 30.0, te, dwell, float(given["flip"])),
    }
    uniform = {
        "proton_density": np.ones((1, 1)),
        "t1": given["train_t1"].reshape(1, 1),
        "t2": given["train_t2"].reshape(1, 1),
        "t2_prime": np.full((1, 1), 1e9),
        "off_resonance": np.zeros((1, 1)),
        "coils": np.ones((1, 1, 1)),
    }
    for b1 in given["b1"]:
        result[f"train_{b1:g}"] = spin_echo_train(uniform, float(b1), 0.02, 6)
    np.savez(sys.argv[2], **result)


if __name__ == "__main__":
    main()
