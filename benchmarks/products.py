"""Time, size, slices and hash of every product, each generated from its study file.

    python benchmarks/products.py [NAME ...] [--out FOLDER] [--workers 2]

NAME is a study file in studies/ without its .yaml; all products by default. The sets lie in FOLDER,
where finished ones are kept and only described; by default in a temporary folder (20 GB; TMPDIR
chooses where), which is removed afterwards. Ends with exit status 1 if a product fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from process_tree import run_watched

STUDIES = Path(__file__).parents[1] / "studies"
PRODUCTS = (
    "seranet",
    "crdn-brainweb",
    "infant-bric",
    "infant-ibis",
    "mrbrains-like",
    "hvsmr-like",
    "isic-like",
    "spleen-like",
    "robustness",
)
HEADINGS = (
    "study",
    "subjects",
    "slices",
    "corruption sets",
    "time",
    "largest process",
    "size",
    "content sha256",
)


def spinforge(command: str, study: Path, out: Path, workers: int) -> list[str]:
    program = Path(sys.executable).with_name("spinforge")
    chosen = ["--set", f"out={out}", "--set", f"workers={workers}"]
    return [str(program), command, str(study), "--json", *chosen]


def answer_of(output: str) -> dict:
    return json.loads(output[output.index("{") :])


def row(name: str, out: Path, workers: int) -> tuple[str, ...]:
    """Generate one product, and its corruption sets if it has any; what it cost and holds."""
    study = STUDIES / f"{name}.yaml"
    commands = ["generate"]
    if yaml.safe_load(study.read_text()).get("corruptions"):
        commands.append("corrupt")
    seconds, largest = 0.0, 0
    for command in commands:
        output, peak, wall = run_watched(spinforge(command, study, out, workers))
        seconds, largest = seconds + wall, max(largest, peak.process)
        dataset = answer_of(output)["dataset"]
    info = Path(sys.executable).with_name("spinforge")
    described = subprocess.run(
        [str(info), "info", dataset, "--json"], check=True, capture_output=True, text=True
    )
    held = answer_of(described.stdout)
    size = sum(path.stat().st_size for path in Path(dataset).rglob("*") if path.is_file())
    return (
        name,
        str(len(held["subjects"])),
        slices_of(held),
        str(held["corrupted_sets"]),
        f"{seconds:.0f} s",
        f"{largest / 1e9:.2f} GB",
        f"{size / 1e9:.3f} GB",
        " / ".join(d[:12] for d in (held["digest"], held["corruption_digest"]) if d),
    )


def slices_of(held: dict) -> str:
    """Such as 1140, or "215 + 24 + 160 of 579" to train, validate and test."""
    used = held["slices_used"]
    if used is None:
        return str(held["slices"])
    chosen = " + ".join(str(used.get(group, 0)) for group in ("train", "validation", "test"))
    return f"{chosen} of {sum(used.values())}"


def report(names: list[str], out: Path, workers: int) -> bool:
    print(f"{os.cpu_count()} cores, {workers} workers, load before {os.getloadavg()[0]:.1f}")
    print("largest process: resident memory; slices: to train, validate, test; 1 GB = 1e9 bytes")
    print("content sha256: of the clean subjects / of the corruption sets\n")
    print(f"| {' | '.join(HEADINGS)} |")
    print(f"|{' --- |' * len(HEADINGS)}", flush=True)
    failed = []
    for name in names:
        try:
            print(f"| {' | '.join(row(name, out, workers))} |", flush=True)
        except subprocess.CalledProcessError as error:
            failed.append(name)
            command = " ".join(error.cmd[1:3])
            print(f"| {name} | {command} ended with exit status {error.returncode} |", flush=True)
    return not failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=PRODUCTS, metavar="NAME")
    parser.add_argument("--out", type=Path, help="keep the sets in this folder")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in PRODUCTS]:
        parser.error(f"no product {unknown[0]}; there are {', '.join(PRODUCTS)}")
    with tempfile.TemporaryDirectory() as temporary:
        out = (chosen.out or Path(temporary)).absolute()
        sys.exit(0 if report(list(chosen.names), out, chosen.workers) else 1)


if __name__ == "__main__":
    main()
