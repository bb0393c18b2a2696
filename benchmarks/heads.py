"""Statistics, CPU time and memory of procedural heads, beside BrainWeb's normal brain.

    python benchmarks/heads.py [--count 20]

Each head is made in a process of its own. The limits are those of tests/simulation/test_head.py.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import head_statistics as reference

from spinforge.simulation.phantoms.head import generate_head


def measure(subject):
    """Statistics of one head, CPU seconds to make it, peak memory of the process [GB]."""
    start = time.process_time()
    head = generate_head(subject, seed=0)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    labels = head.labels.numpy()
    return reference.brain_statistics(labels), labels == reference.GREY, seconds, peak


def row(name, statistics, extra):
    tissues = (reference.CSF, reference.GREY, reference.WHITE)
    shares = " ".join(f"{100 * statistics.fractions[t]:5.1f}" for t in tissues)
    connected = min(statistics.dominance.values())
    spectrum = np.abs(statistics.white_spectrum - reference.BRAINWEB_WHITE_SPECTRUM).sum()
    return (
        f"{name:10} {shares} {statistics.grey_white_area_cm2:8.0f} "
        f"{statistics.grey_csf_area_cm2:8.0f} {statistics.white_perimeter_per_area:7.3f} "
        f"{spectrum:8.3f} {connected:9.4f} {extra}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    count = parser.parse_args().count
    print(
        f"{'head':10} {'CSF':>5} {'GM':>5} {'WM':>5} {'GM-WM':>8} {'GM-CSF':>8} {'P/A':>7} "
        f"{'spectrum':>8} {'connected':>9} {'CPU s':>6} {'GB':>5}"
    )
    fractions = reference.BRAINWEB_FRACTIONS
    print(
        f"{'BrainWeb':10} {100 * fractions[1]:5.1f} {100 * fractions[2]:5.1f} "
        f"{100 * fractions[3]:5.1f} {reference.BRAINWEB_GREY_WHITE_AREA_CM2:8.0f} "
        f"{reference.BRAINWEB_GREY_CSF_AREA_CM2:8.0f} {0.369:7.3f} {0:8.3f}"
    )
    greys = []
    context = multiprocessing.get_context("spawn")
    for index in range(count):
        name = f"head-{index:03d}"
        with context.Pool(1) as pool:
            statistics, grey, seconds, peak = pool.apply(measure, (name,))
        greys.append(grey)
        print(row(name, statistics, f"{seconds:6.1f} {peak:5.2f}"), flush=True)
    pairs = [
        reference.dice(greys[a], greys[b]) for a in range(count) for b in range(a) if count > 1
    ]
    if pairs:
        print(f"GM Dice between heads: {min(pairs):.3f} to {max(pairs):.3f}")
    print("areas in cm2; spectrum: L1 distance; connected: smallest share of a largest component")


if __name__ == "__main__":
    main()
