"""Checks that need a process of their own (`probe.py`): compiled packages, GPU, study files."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spinforge.flows.doctor.finding import Finding, Place

_LIMIT_S = 60
_REINSTALL = "pip install --force-reinstall -c requirements.lock {}"


def compiled_packages(_: Place) -> Iterator[Finding]:
    """What is not pure Python can be imported; and what PyTorch makes of the GPU."""
    steps, end = _probe("imports")
    broken = [step for step in steps if "error" in step]
    for step in broken:
        package = step["step"].partition(".")[0]
        remedy = _REINSTALL.format(package)
        what = f"{step['step']} cannot be imported: {step['error']}"
        yield Finding("compiled packages", "problem", what, remedy)
    if end:
        what = f"importing {steps[-1]['step'] if steps else 'anything'} {end}"
        package = steps[-1]["step"].partition(".")[0] if steps else "torch"
        if not any("torch" in step["step"] for step in broken):
            yield Finding("compiled packages", "problem", what, _REINSTALL.format(package))
    elif not broken:
        yield Finding("compiled packages", "ok", "all can be imported")
    if steps and "build" in steps[-1]:
        said = steps[-1]
        yield gpu(said["build"], said["available"], said["reason"], said["name"], _has_gpu())


def gpu(build: str | None, available: bool, reason: str, name: str, is_there: bool) -> Finding:
    """What fits together of PyTorch's build, its driver and the machine.

    Args:
        build: Version of CUDA that PyTorch was built for; None for the CPU build.
        available: Whether PyTorch can use a GPU.
        reason: What it says if not.
        name: Of the GPU.
        is_there: Whether the machine has one from NVIDIA.
    """
    if available:
        return Finding("GPU", "ok", f"{name}, CUDA {build}")
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return Finding("GPU", "note", "CUDA_VISIBLE_DEVICES hides every GPU", "unset it")
    if is_there and build is None:
        what = "the machine has one, but PyTorch is the build for the CPU, so training is slow"
        remedy = "pip install --force-reinstall torch, without PIP_EXTRA_INDEX_URL"
        return Finding("GPU", "warning", what, remedy)
    if is_there:
        what = f"the machine has one, but PyTorch (CUDA {build}) cannot use it: {reason or '?'}"
        remedy = f"update NVIDIA's driver to one for CUDA {build}, and look at nvidia-smi"
        return Finding("GPU", "problem", what, remedy)
    if build is not None:
        what = f"none, although PyTorch is the build for CUDA {build}; everything runs on the CPU"
        return Finding("GPU", "note", what)
    return Finding("GPU", "ok", "none; everything runs on the CPU")


def study_files(place: Place) -> Iterator[Finding]:
    """Study files are valid; what would stop the one that was named."""
    files = [str(path) for path in place.study_files]
    if not files:
        return
    steps, end = _probe("study" if place.study else "studies", *files)
    wrong = [step for step in steps if "error" in step]
    for step in wrong:
        said = " ".join(step["error"].split())
        remedy = "change what it names, then run doctor again"
        if not place.study:
            remedy = f"run the study again, which writes it, or repair {step['step']}"
        yield Finding("study files", "problem", said, remedy)
    if end:
        what = f"reading {steps[-1]['step'] if steps else files[0]} {end}"
        remedy = "mend the packages named here first, then run doctor again"
        yield Finding("study files", "problem", what, remedy)
    elif not wrong:
        yield Finding("study files", "ok", f"{len(files)} valid")


def _has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/proc/driver/nvidia/version").exists()


def _probe(*arguments: str) -> tuple[list[dict[str, Any]], str]:
    """Each step's last words, and how the process ended if not well."""
    command = [sys.executable, "-m", "spinforge.flows.doctor.probe", *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
        output, end = done.stdout, _end(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        end = f"takes longer than {_LIMIT_S} s"
    steps: dict[str, dict[str, Any]] = {}
    for line in output.splitlines():
        said = json.loads(line)
        steps[said["step"]] = said
    return list(steps.values()), end


def _end(code: int, errors: str) -> str:
    if code == 0:
        return ""
    if code < 0:
        return f"ends Python itself ({signal.Signals(-code).name})"
    return f"fails: {(errors.strip().splitlines() or ['without a word'])[-1]}"
