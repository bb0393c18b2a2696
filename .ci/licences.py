"""Licences of all that Spinforge's requirements install: writes docs/licences.md.

    .venv/bin/python .ci/licences.py            # write it
    .venv/bin/python .ci/licences.py --check    # fail if it is not as it would be written now

Fails on a licence of the core that is unknown or not allowed here. pip-licenses reads what the
packages say of themselves; which packages belong to us is followed from pyproject.toml.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"

# Do as you like, and keep the notice.
PERMISSIVE = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CNRI-Python",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "PSF-2.0",
    "Zlib",
}
# Changes to the package's own files must be published; we change none.
OF_FILES = {"MPL-2.0"}

# What packages that use no SPDX expression write, in its words.
WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "LicenseRef-IsmrmrdSoftwareLicense": "MIT",  # its text, with an added disclaimer
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

# Packages whose metadata do not say it: read in the licence that they bring.
READ = {"huey": "MIT", "skops": "MIT"}
# Packages that leave a choice which SPDX's OR does not express: what we take.
CHOSEN = {"text-unidecode": "Artistic-1.0"}

# Of PyTorch's build for GPUs only, and NVIDIA's: said in the page.
OF_GPU_BUILDS = re.compile(r"(nvidia|cuda)-|triton$")
NOT_LISTED = {"dev", "oracle"}


def main(arguments: list[str]) -> int:
    """Write or check the page; 1 if something is not as it must be."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    said = licences()
    core = packages(project["dependencies"])
    extras = {
        name: packages(wanted) - core
        for name, wanted in project["optional-dependencies"].items()
        if name not in NOT_LISTED
    }
    if wrong := problems(core, said):
        print("\n".join(wrong))
        return 1
    page = text(core, extras, said)
    if "--check" not in arguments:
        PAGE.write_text(page)
    elif not PAGE.is_file() or PAGE.read_text() != page:
        print(f"{PAGE} is not up to date: run `make licences` and commit it")
        return 1
    return 0


def licences() -> dict[str, str]:
    """Licence of every installed package, as an SPDX expression where it can be told."""
    command = [sys.executable, "-m", "piplicenses", "--from=all", "--format=json", "--with-system"]
    command += ["--python", sys.executable]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {canonicalize_name(row["Name"]): licence(row) for row in rows}


def licence(row: dict[str, str]) -> str:
    """One package's licence: its expression, else its classifiers, else what it says freely."""
    name = canonicalize_name(row["Name"])
    if name in READ | CHOSEN:
        return (READ | CHOSEN)[name]
    free = row["License-Metadata"].strip().partition("\n")[0]
    precise = free if allowed(WORDS.get(free, free)) else "UNKNOWN"
    for words in (row["License-Expression"], precise, row["License-Classifier"], free):
        if words != "UNKNOWN" and words:
            # Several classifiers: which of them hold for what is not said, so all of them.
            parts = [WORDS.get(part.strip(), part.strip()) for part in words.split(";")]
            return " AND ".join(sorted(set(parts)))
    return "UNKNOWN"


def allowed(expression: str) -> bool:
    """Whether an SPDX expression leaves us a way to use a package in the core."""
    inner = expression.replace("(", " ").replace(")", " ")
    # One of a choice is enough. Without its brackets an expression may ask for more, never less.
    return all(
        any(part.strip() in PERMISSIVE | OF_FILES for part in choice.split(" OR "))
        for choice in inner.split(" AND ")
    )


def packages(requirements: list[str]) -> set[str]:
    """Names of all that these requirements install here, what they require too."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements if not text.startswith("spinforge[")]
    seen = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if (name, *sorted(wanted.extras)) in seen or OF_GPU_BUILDS.match(name):
            continue
        seen.add((name, *sorted(wanted.extras)))
        found.add(name)
        for text in importlib.metadata.requires(name) or []:
            further = Requirement(text)
            extras = ("", *wanted.extras)
            marker = further.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(further)
    return found


def problems(core: set[str], said: dict[str, str]) -> list[str]:
    """Packages of the core that may not be in it."""
    wrong = []
    for name in sorted(core):
        found = said.get(name, "UNKNOWN")
        if name not in CHOSEN and not allowed(found):
            wrong.append(
                f"{name}: licence {found!r} is unknown or not allowed in the core. Read it, then "
                f"add it to .ci/licences.py, or do without the package"
            )
    return wrong


def text(core: set[str], extras: dict[str, set[str]], said: dict[str, str]) -> str:
    """The page."""
    lines = [
        "# Licences",
        "",
        "Spinforge is under Apache-2.0. It brings none of these packages with it; pip installs",
        "them. Written by `make licences` for the versions of `requirements.lock` on Linux. CI",
        "fails if the page is out of date, or if the core gets a licence that is unknown or asks",
        "for more than to keep a notice. MPL-2.0 asks to publish changes of a package's own",
        "files; none is changed. text-unidecode leaves the choice between the GPL and the",
        "Artistic License: the latter. PyTorch's usual build for Linux also installs NVIDIA's",
        "CUDA libraries, under NVIDIA's own terms. The extra `oracle`, for tests only, is under",
        "the AGPL-3 and never imported; `dev` is for working on Spinforge.",
        "",
        "## Core",
        "",
        *table(core, said),
    ]
    for name, found in sorted(extras.items()):
        lines += ["", f"## With `spinforge[{name}]`", "", *table(found, said)]
    return "\n".join(lines) + "\n"


def table(names: set[str], said: dict[str, str]) -> list[str]:
    """Packages with their versions and licences."""
    rows = [f"| {n} | {importlib.metadata.version(n)} | {said[n]} |" for n in sorted(names)]
    rows = [row.replace("+cpu", "") for row in rows]
    return ["| package | version | licence |", "|---|---|---|", *rows]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
