"""Checks of the installation: Python, packages, links, names that hide others, encoding."""

import importlib.metadata
import locale
import os
import re
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import spinforge
from spinforge.flows.doctor.finding import Finding, Place

_ROOT = Path(__file__).resolve().parents[2]
_INSTALL = 'pip install -c requirements.lock -e "."'
_FOLDERS = ("simulation", "datasets", "models", "evaluation", "flows")
_OLDEST = (3, 11)


def python_version(_: Place) -> Iterator[Finding]:
    """Python is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _OLDEST:
        remedy = "make the environment again: make demo PYTHON=python3.11"
        yield Finding("Python", "problem", f"{version} is older than 3.11", remedy)
    else:
        yield Finding("Python", "ok", version)


def requirements(_: Place) -> Iterator[Finding]:
    """What Spinforge requires is installed, in versions that it can use."""
    from packaging.requirements import Requirement

    wanted, optional = _requirements()
    wrong = 0
    for text in (*wanted, *optional):
        required = Requirement(text)
        if required.marker is not None and not required.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(required.name)
        except importlib.metadata.PackageNotFoundError:
            if text in wanted:
                wrong += 1
                yield Finding(
                    "requirements", "problem", f"{required.name} is not installed", _INSTALL
                )
            continue
        if not required.specifier.contains(found, prereleases=True):
            wrong += 1
            what = f"{required.name} {found} is installed, but {required} is needed"
            remedy = f"pip install -c requirements.lock '{required}'"
            yield Finding("requirements", "problem", what, remedy)
    if not wrong:
        yield Finding("requirements", "ok", f"all {len(wanted)} are there")


def locked_versions(_: Place) -> Iterator[Finding]:
    """Versions are those that were run together; others may work, but change the last bits."""
    lock = _ROOT / "requirements.lock"
    if not lock.is_file():
        return
    other = []
    for name, version in re.findall(r"^([\w.-]+)==([\w.!-]+)", lock.read_text(), re.MULTILINE):
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if found.partition("+")[0] != version:
            other.append(f"{name} {found} (lock: {version})")
    if other:
        some = ", ".join(other[:4]) + (f" and {len(other) - 4} more" if len(other) > 4 else "")
        what = f"{some}: other than in requirements.lock, so the last bits of results may differ"
        yield Finding("locked versions", "note", what, _INSTALL)
    else:
        yield Finding("locked versions", "ok", "as in requirements.lock")


def links(_: Place) -> Iterator[Finding]:
    """src/spinforge holds the five folders; a clone without symbolic links has files instead."""
    package = Path(spinforge.__file__).parent
    broken = [name for name in _FOLDERS if not (package / name).is_dir()]
    if broken:
        what = f"{', '.join(str(package / name) for name in broken)}: no folder behind the link"
        remedy = "git config core.symlinks true && git checkout -- src (Windows: developer mode)"
        yield Finding("links", "problem", what, remedy)
    else:
        yield Finding("links", "ok", f"{package} has its five folders")


def hidden_modules(_: Place) -> Iterator[Finding]:
    """No file of the current folder or of PYTHONPATH stands in for a module that we import."""
    # The current folder too: processes that we start with `python -m` look there first.
    paths = [Path.cwd(), *(Path(entry) for entry in sys.path if entry)]
    installed = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)}
    strangers = [
        path
        for path in dict.fromkeys(path.resolve() for path in paths)
        if path.is_dir() and not any(path.is_relative_to(prefix) for prefix in installed)
    ]
    wrong = False
    for folder in strangers:
        hiding = sorted(name for name in _module_names() if _is_module(folder, name))
        if hiding:
            wrong = True
            what = f"{folder} has {', '.join(hiding)}, which hides the module of that name"
            remedy = "rename it, or take the folder out of PYTHONPATH and work elsewhere"
            yield Finding("module names", "problem", what, remedy)
        if folder != Path.cwd().resolve() and _holds_our_folders(folder):
            wrong = True
            what = f"{folder} is in PYTHONPATH: `import datasets` finds ours, not the package"
            remedy = f"put {folder / 'src'} there instead"
            yield Finding("module names", "warning", what, remedy)
    if not wrong:
        yield Finding("module names", "ok", "none is hidden by another")


def encoding(_: Place) -> Iterator[Finding]:
    """Text is UTF-8, as every file of ours is."""
    found = {locale.getpreferredencoding(False), sys.getfilesystemencoding()}
    other = sorted(name for name in found if name.lower().replace("-", "") != "utf8")
    if other:
        what = f"text is {', '.join(other)} here, but study files and notes are UTF-8"
        yield Finding("encoding", "warning", what, "export LC_ALL=C.UTF-8 (or PYTHONUTF8=1)")
    else:
        yield Finding("encoding", "ok", "UTF-8")


def _requirements() -> tuple[list[str], list[str]]:
    """What is required, and what is optional but must fit if it is there."""
    project = _ROOT / "pyproject.toml"
    if project.is_file():
        content = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        extras = content["optional-dependencies"].values()
        optional = [text for texts in extras for text in texts if not text.startswith("spinforge[")]
        return content["dependencies"], optional
    texts = importlib.metadata.requires("spinforge") or []
    return [text for text in texts if "extra ==" not in text], []


def _module_names() -> set[str]:
    """Modules of the standard library and of what is installed beside us."""
    packages = Path(sysconfig.get_paths()["purelib"]).iterdir()
    installed = {path.name.removesuffix(".py") for path in packages if "-" not in path.name}
    return {*sys.stdlib_module_names, *installed} - {"spinforge", "__pycache__"}


def _is_module(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _holds_our_folders(folder: Path) -> bool:
    return os.path.samefile(folder, _ROOT) and (folder / "datasets").is_dir()


CHECKS = (python_version, requirements, locked_versions, links, hidden_modules, encoding)
"""These need nothing but Python's own library and `packaging`."""
