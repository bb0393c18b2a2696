"""Cost of the simulation engine, as ratios to a lower bound and to a peer in the same run.

    python benchmarks/simulation.py [--device cuda] [--no-peer]

The lower bound is the bare Fourier transform of one image a coil. The peer is MRzeroCore's phase
distribution graphs (extra `oracle`), timed on 72 x 60 voxels and scaled to 216 x 180 by voxels
times samples, which is what its inner loop runs over. Both agree to 2e-5 (test_oracle.py).

A second table has the slices a second of a batch of 64 that lies on the device. Times on the
processor are CPU times of one thread, on a GPU wall times from an idle device to an idle device.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from timing import (
    MATRIX,
    bare_transform,
    best_seconds,
    is_gpu,
    seconds_of_calls,
    usable_device,
)

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
BATCH = Slices(thickness_mm=2, count=64)
MOST_SECONDS = {1: 0.05, 8: 0.15}
"""Most CPU seconds a slice with noise may take, by coils, profile seranet."""

PROFILES = ("ideal", "seranet")
ORACLE = Path(__file__).parents[1] / "tests" / "oracle" / "mrzero_signals.py"


def engine(phantom, slices, scanner, device):
    """What makes clean k-space from memberships and fields on the device, ready to be timed."""
    drawn = draw_scan_parameters(phantom.subject, phantom.tissues, SpinEcho(), scanner, seed=0)
    properties = with_factors(TISSUE_SETS[scanner.tissue_set].properties, drawn.tissue_factors)
    memberships = slice_memberships(phantom, slices).to(device)
    fields = scan_fields(phantom, slices, scanner, drawn).to(device)
    maps = coil_maps(phantom, slices, scanner, drawn).to(device)

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


def noise_only(n_coils):
    from spinforge.simulation.rng import SampleRng

    def run():
        for index in range(SLICES.count):
            draw_noise(SampleRng(0, index), (n_coils, *MATRIX), 1.0)

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


def ratio_table(phantom, device, peer):
    """Seconds a slice of the stages, beside lower bound and peer; whether limits are met."""
    met = True

    def a_slice(function, where="cpu", repeats=3):
        return best_seconds(function, where, repeats=repeats) / SLICES.count

    print(f"{'':28} {'s/slice':>9} {'x bare FFT':>11} {'x peer':>9}")
    for n_coils in (1, 8):
        floor = a_slice(bare_transform(n_coils, SLICES.count, device), device)
        rows = {f"bare FFT, {n_coils} coil": floor}
        for profile in PROFILES:
            scanner = Scanner(profile=profile, coils=n_coils)
            clean = a_slice(engine(phantom, SLICES, scanner, device), device)
            rows[f"{profile}, {n_coils} coil, clean"] = clean
            # Noise is drawn on the processor, whatever the device.
            rows[f"{profile}, {n_coils} coil, with noise"] = clean + a_slice(noise_only(n_coils))
            if not is_gpu(device):
                rows[f"{profile}, {n_coils} coil, whole scan"] = a_slice(
                    lambda s=scanner: simulate_scan(
                        phantom, SLICES, SpinEcho(), Noise(), s, seed=0
                    ),
                    repeats=1,
                )
        taken, most = rows[f"seranet, {n_coils} coil, with noise"], MOST_SECONDS[n_coils]
        met &= is_gpu(device) or taken <= most
        for name, seconds in rows.items():
            share = f"{seconds / peer:9.1e}" if peer else f"{'-':>9}"
            print(f"{name:28} {seconds:9.4f} {seconds / floor:11.1f} {share}", flush=True)
    if peer:
        print(f"{'MRzeroCore, scaled':28} {peer:9.1f} {'':11} {1:9.1f}")
    limits = ", ".join(f"{most} s with {coils} coil" for coils, most in MOST_SECONDS.items())
    if not is_gpu(device):
        print(f"seranet with noise, at most {limits}: {'met' if met else 'NOT MET'}")
    return met


def batch_table(phantom, device):
    """Slices a second of one batch, all of it on the device."""
    print(f"\n{f'batch of {BATCH.count} on {device}':28} {'slices/s':>9} {'spread':>15} {'GB':>6}")
    for n_coils in (1, 8):
        for profile in PROFILES:
            scanner = Scanner(profile=profile, coils=n_coils)
            run = engine(phantom, BATCH, scanner, device)
            if is_gpu(device):
                torch.cuda.reset_peak_memory_stats(device)
            held = device_bytes(device)
            rates = [BATCH.count / s for s in seconds_of_calls(run, device, repeats=5)]
            peak = device_bytes(device)
            smallest = BATCH.count * n_coils * MATRIX[0] * MATRIX[1] * 8  # k-space, complex64
            if is_gpu(device) and peak - held < smallest:
                sys.exit(f"error: {profile}, {n_coils} coil: the k-space was not made on {device}")
            spread = f"{min(rates):.1f} - {max(rates):.1f}"
            memory = f"{peak / 1e9:6.2f}" if is_gpu(device) else f"{'-':>6}"
            name = f"{profile}, {n_coils} coil, clean"
            print(f"{name:28} {statistics.median(rates):9.1f} {spread:>15} {memory}", flush=True)


def device_bytes(device):
    """Most memory that was in use on a GPU since its statistics were reset."""
    return torch.cuda.max_memory_allocated(device) if is_gpu(device) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--device", type=usable_device, default="cpu", help="cpu, cuda or like cuda:1"
    )
    parser.add_argument("--no-peer", action="store_true", help="leave MRzeroCore out")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    name = f"{platform.processor() or platform.machine()}, one thread"
    if is_gpu(chosen.device):
        name = torch.cuda.get_device_name(chosen.device)
    print(f"torch {torch.__version__}, {name}")
    phantom = generate_head("head-000", seed=0)
    # Numbers the tissues' signals once, so that no row pays for the first call.
    nominal_amplitudes(SpinEcho(), TISSUE_SETS["brainweb_1p5T"].properties, phantom.tissues)
    met = ratio_table(phantom, chosen.device, None if chosen.no_peer else peer_seconds_a_slice())
    batch_table(phantom, chosen.device)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
