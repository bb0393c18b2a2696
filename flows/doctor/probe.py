"""A process of its own for what may end a process: imports of compiled code, and study files.

One line of JSON for every step before it is tried and after, so that whoever started us knows at
which one we died.
"""

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

COMPILED = (
    "numpy",
    "scipy.fft",
    "torch",
    "numcodecs.blosc",
    "google_crc32c",
    "pandas",
    "pyarrow",
    "skimage.metrics",
    "PIL.Image",
    "psutil",
    "sqlalchemy",
)


def _say(step: str, **content: Any) -> None:
    sys.__stdout__.write(json.dumps({"step": step, **content}) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def _imports() -> None:
    for name in COMPILED:
        _say(name)
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  a broken package may raise anything
            _say(name, error=f"{type(error).__name__}: {error}".splitlines()[0])
    _say("CUDA")
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    reason = " ".join(str(warning.message) for warning in said).partition("(Triggered")[0]
    name = torch.cuda.get_device_name() if available else ""
    _say("CUDA", build=torch.version.cuda, available=available, reason=reason, name=name)


def _studies(files: list[str], *, checked: bool) -> None:
    from spinforge.flows.config import load_study
    from spinforge.flows.preflight import check_study
    from spinforge.flows.suite_file import check_suite, is_suite, load_suite
    from spinforge.simulation.errors import SpinforgeError

    for file in files:
        _say(file)
        try:
            if is_suite(Path(file)):
                check_suite(load_suite(Path(file))[1])
            elif checked:
                check_study(load_study(Path(file)))
            else:
                load_study(Path(file))
        except SpinforgeError as error:
            _say(file, error=str(error))


if __name__ == "__main__":
    match sys.argv[1]:
        case "imports":
            _imports()
        case "studies":
            _studies(sys.argv[2:], checked=False)
        case "study":
            _studies(sys.argv[2:], checked=True)
