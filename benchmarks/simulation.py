"""Cost of the simulation engine, as ratios to a lower bound and to a peer in the same run.

    python benchmarks/simulation.py [--device cuda] [--no-peer]

The lower bound is the bare Fourier transform of one image a coil. The peer is MRzeroCore's phase
distribution graphs (extra `oracle`), timed on 72 x 60 voxels and scaled to 216 x 180 by voxels
times samples, which is what its inner loop runs over. Both agree to 2e-5 (test_oracle.py).
"""

import argparse
import math
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from spinforge.simulation.acquisition import (
    coil_maps,
    noise_free_kspace,
    scan_fields,
    simulate_scan,
)
from spinforge.simulation.contrast import nominal_amplitudes
from spinforge.simulation.noise import Noise, draw_noise
from spinforge.simulation.phantoms.head import generate_head
from spinforge.simulation.scan_parameters import draw_scan_parameters
from spinforge.simulation.scanner import Scanner
from spinforge.simulation.sequences import SpinEcho
from spinforge.simulation.slices import Slices, slice_memberships
from spinforge.simulation.tissue_sets import TISSUE_SETS, with_factors

SLICES = Slices()
ORACLE = Path(__file__).parents[1] / "tests" / "oracle" / "mrzero_signals.py"


def seconds_a_slice(function, device="cpu", *, repeats=3):
    """Least CPU time (wall time on a GPU) of a few calls, a slice of the whole stack."""
    on_gpu = device != "cpu"
    clock = time.perf_counter if on_gpu else time.process_time
    best = math.inf
    for _ in range(repeats):
        start = clock()
        function()
        if on_gpu:
            torch.cuda.synchronize()
        best = min(best, clock() - start)
    return best / SLICES.count


def engine(phantom, scanner, device):
    """What makes clean k-space from slice memberships and fields, ready to be timed."""
    drawn = draw_scan_parameters(phantom.subject, phantom.tissues, SpinEcho(), scanner, seed=0)
    properties = with_factors(TISSUE_SETS[scanner.tissue_set].properties, drawn.tissue_factors)
    memberships = slice_memberships(phantom, SLICES).to(device)
    fields = scan_fields(phantom, SLICES, scanner, drawn)
    maps = coil_maps(phantom, SLICES, scanner, drawn).to(device)

    def run():
        return noise_free_kspace(
            memberships,
            phantom.tissues,
            properties,
            fields,
            maps,
            scanner,
            drawn.sequence,
            device=device,
        )

    return run


def bare_transform(n_coils, device):
    """The lower bound: one 2-D FFT a slice and coil."""
    images = torch.randn(n_coils, 180, 216, dtype=torch.complex64, device=device)

    def run():
        for _ in range(SLICES.count):
            torch.fft.fft2(images)

    return run


def noise_only(n_coils):
    from spinforge.simulation.rng import SampleRng

    def run():
        for index in range(SLICES.count):
            draw_noise(SampleRng(0, index), (n_coils, 180, 216), 1.0)

    return run


def peer_seconds_a_slice():
    """MRzeroCore's spin echo of one coil on 72 x 60 voxels, scaled to 216 x 180."""
    n_read, n_phase = 72, 60
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "in.npz", Path(folder) / "out.npz"
        ones = np.ones((n_read, n_phase))
        np.savez(
            given,
            proton_density=ones,
            t1=ones,
            t2=0.08 * ones,
            t2_prime=0.06 * ones,
            off_resonance=10 * ones,
            coils=np.ones((1, n_read, n_phase)),
            te=0.01,
            dwell=1e-4,
            flip=1.0,
            b1=np.array([]),
            train_t1=1.0,
            train_t2=0.08,
        )
        script = f"""
import sys, time
sys.argv = ["", {str(given)!r}, {str(answer)!r}]
sys.path.insert(0, {str(ORACLE.parent)!r})
import numpy as np, torch
torch.set_num_threads(1)
import mrzero_signals as oracle
given = dict(np.load(sys.argv[1]))
start = time.process_time()
oracle.spin_echo(given, 3.0, 0.08, 1e-4)
print("seconds", time.process_time() - start)
"""
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
    seconds = float(done.stdout.split("seconds")[-1])
    # One term for every voxel and every sample of every line.
    return seconds * (180 * 216) ** 2 / (n_read * n_phase) ** 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-peer", action="store_true", help="leave MRzeroCore out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}, one thread")
    phantom = generate_head("head-000", seed=0)
    nominal_amplitudes(SpinEcho(), TISSUE_SETS["brainweb_1p5T"].properties, phantom.tissues)
    peer = None if chosen.no_peer else peer_seconds_a_slice()

    print(f"{'':28} {'s/slice':>9} {'x bare FFT':>11} {'x peer':>9}")
    for n_coils in (1, 8):
        floor = seconds_a_slice(bare_transform(n_coils, chosen.device), chosen.device)
        rows = {f"bare FFT, {n_coils} coil": floor}
        for profile in ("ideal", "seranet"):
            scanner = Scanner(profile=profile, coils=n_coils)
            clean = seconds_a_slice(engine(phantom, scanner, chosen.device), chosen.device)
            rows[f"{profile}, {n_coils} coil, clean"] = clean
            rows[f"{profile}, {n_coils} coil, with noise"] = clean + seconds_a_slice(
                noise_only(n_coils)
            )
            if chosen.device == "cpu":
                rows[f"{profile}, {n_coils} coil, whole scan"] = seconds_a_slice(
                    lambda s=scanner: simulate_scan(
                        phantom, SLICES, SpinEcho(), Noise(), s, seed=0
                    ),
                    repeats=1,
                )
        for name, seconds in rows.items():
            share = f"{seconds / peer:9.1e}" if peer else f"{'-':>9}"
            print(f"{name:28} {seconds:9.4f} {seconds / floor:11.1f} {share}")
    if peer:
        print(f"{'MRzeroCore, scaled':28} {peer:9.1f} {'':11} {1:9.1f}")


if __name__ == "__main__":
    main()
