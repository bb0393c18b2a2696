"""Cost of SERANet's whole set: 1140 slices of BrainWeb's twenty heads, profile `seranet`.

    python benchmarks/brainweb20.py FOLDER [--coils 1 8]

FOLDER holds the twenty subjectNN_crisp_v.mnc.gz. Runs `spinforge generate studies/brainweb.yaml`
into a temporary folder (4 GB at most; TMPDIR chooses where), which is removed afterwards.
Ends with exit status 1 if a limit is not met.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from process_tree import run_watched
from timing import bare_transform, best_seconds, cpu_seconds_of_children

STUDY = Path(__file__).parents[1] / "studies" / "brainweb.yaml"
N_SLICES = 20 * 57
LIMIT_GB = 3.0


def limit_minutes(n_coils: int) -> float:
    """What the set may take: 5 minutes for one coil, 12 for eight; in between and beyond alike."""
    return 4 + n_coils


def generate_command(models: Path, n_coils: int, out: Path) -> list[str]:
    settings = {
        "out": out,
        "data.path": models,
        "data.subjects": "{train: 15, validation: 2, test: 3}",
        "data.scanner": f"{{profile: seranet, coils: {n_coils}}}",
    }
    chosen = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    program = Path(sys.executable).with_name("spinforge")
    return [str(program), "generate", str(STUDY), "--json", *chosen]


def report(models: Path, n_coils: int) -> bool:
    """Make the set once and print what it cost; whether all limits are met."""
    floor = best_seconds(bare_transform(n_coils, N_SLICES), repeats=1)
    with tempfile.TemporaryDirectory() as folder:
        before = cpu_seconds_of_children()
        output, peak, seconds = run_watched(generate_command(models, n_coils, Path(folder)))
        cpu = cpu_seconds_of_children() - before
        answer = json.loads(output[output.index("{") :])
        files = [path for path in Path(answer["dataset"]).rglob("*") if path.is_file()]
        on_disk = sum(path.stat().st_size for path in files)

    allowed = 60 * limit_minutes(n_coils)
    checks = [(f"wall time {seconds:.0f} s, limit {allowed:.0f} s", seconds <= allowed)]
    for name, size in (("largest process", peak.process), ("all processes", peak.tree)):
        # The limit is one coil's; the k-space of more takes what it takes.
        limit = LIMIT_GB if n_coils == 1 else math.inf
        text = f"{name} {size / 1e9:.2f} GB, limit {limit:g} GB"
        checks += [(text, size <= 1e9 * limit)] if size else []
    print(f"\n{n_coils} coil{'s' * (n_coils > 1)}, {N_SLICES} slices")
    for text, is_met in checks:
        print(f"  {text}: {'met' if is_met else 'NOT MET'}")
    parts = " + ".join(f"{part / 1e9:.2f}" for part in peak.parts)
    print(f"  {f'at that peak {parts} GB' if parts else 'memory is measured on Linux only'}")
    print(f"  CPU time {cpu:.0f} s, {cpu / floor:.1f} x the bare FFT's {floor:.2f} s")
    print(f"  on disk {on_disk / 1e9:.3f} GB")
    print(f"  digest {answer['dataset_digest']}", flush=True)
    return all(is_met for _, is_met in checks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of BrainWeb's twenty crisp models")
    parser.add_argument("--coils", type=int, nargs="+", default=[1, 8], metavar="N")
    chosen = parser.parse_args()
    if not chosen.folder.is_dir():
        parser.error(f"{chosen.folder} is no folder; see spinforge download brainweb20")
    torch.set_num_threads(1)  # the lower bound, like a subject, runs on one
    print(
        f"torch {torch.__version__}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}"
    )
    print(
        "CPU time: of the command and all its processes, Prefect's server included. Memory, "
        "sampled five times a second: the largest process by its own resident peak (VmHWM), all "
        "together by proportional set size, which counts a shared page once. 1 GB = 1e9 bytes."
    )
    try:
        met = [report(chosen.folder.absolute(), n_coils) for n_coils in chosen.coils]
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(error.cmd[:3])} ended with exit status {error.returncode}")
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    main()
