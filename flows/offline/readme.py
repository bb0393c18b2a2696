"""The two texts of a pack that are not made elsewhere: how to run it, and what runs."""

from importlib.metadata import version

from spinforge.flows.offline.form import RESULTS, PackNote

_TORCH = """\
A PyTorch with CUDA that is there already will do; other versions may change the last digits. Where
there is none, download it by itself, as a list made beside a PyTorch for processors names none of
the libraries it needs for a GPU:

    pip download --only-binary=:all: --python-version {python} \\
      --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 torch=={torch} -d wheels
    pip install --no-index --find-links wheels torch=={torch}    # there, before the others"""

RUN = '''"""Train and evaluate the study of this folder: python run.py --help."""

import os
import sys
from pathlib import Path

os.environ["SPINFORGE_WITHOUT_SERVICES"] = "1"  # Prefect and MLflow, if they are installed
sys.path.insert(0, str(Path(__file__).resolve().parent / "code"))

if __name__ == "__main__":
    from spinforge.flows.offline.run import main

    sys.exit(main(Path(__file__).resolve().parent))
'''


def readme(note: PackNote, *, python: str, with_data: bool) -> str:
    """How to run a pack, for whoever finds it.

    Args:
        note: Of the pack.
        python: Version of the machine's Python.
        with_data: Whether the set is in the pack.
    """
    place = f"runs/{note.study}/dataset.zarr"
    data = (
        f"The set is in `{place}`."
        if with_data
        else f"The set is not in this pack: put it at `{place}` (a link will do). Its content must "
        f"have the digest\n`{note.dataset_digest}`."
    )
    networks = "\n".join(f"- {name}" for name in note.networks)
    return f"""# Study {note.study}, packed by Spinforge {note.spinforge}

Everything here runs without network, Prefect and MLflow, on Python {python}.

## Packages

`requirements.txt` names what this machine needs beside Python. On a machine with network:

    pip download --no-deps --only-binary=:all: --python-version {python} \\
      --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 \\
      -r requirements.txt -d wheels

then here:

    pip install --no-index --no-deps --find-links wheels -r requirements.txt

{_TORCH.format(python=python, torch=version("torch").partition("+")[0])}
Spinforge itself needs no installation: its code is in `code/`.

## Run

{data}

    python run.py                              # every network, one after the other
    python run.py --network NAME               # one of them
    python run.py --set training.device=gpu    # or cpu; by default what the study says

Stop it with Ctrl-C or by force: the same command goes on after the last whole epoch. Networks:

{networks}

## Bring the results home

`{RESULTS}` is written anew after each network: copy it home, and there run

    spinforge collect STUDY.yaml --from {RESULTS}

with the study file that was packed. It checks that the results are of that study and its set.
"""
