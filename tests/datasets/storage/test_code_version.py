"""Provenance names our own commit or none."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from spinforge.datasets.storage import code_version


@pytest.fixture
def git(tmp_path):
    """Run git in a repository of somebody else's, which has one commit."""

    def run(*arguments: str) -> str:
        settings = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        command = ["git", "-C", str(tmp_path), *settings, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    run("init")
    run("commit", "--allow-empty", "-m", "foreign")
    return run


def installed_in(folder: Path):
    """Our module, from a copy in `folder`."""
    folder.mkdir()
    path = Path(shutil.copy(code_version.__file__, folder))
    spec = importlib.util.spec_from_file_location("installed_code_version", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_commit_of_a_foreign_repository_around_us_is_not_ours(git, tmp_path):
    module = installed_in(tmp_path / "venv")
    assert module.code_version() == {"commit": "unknown", "dirty": False}


def test_commit_and_changes_of_our_own_repository_are_named(git, tmp_path):
    module = installed_in(tmp_path / "spinforge")
    git("add", ".")
    git("commit", "-m", "ours")
    assert module.code_version() == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    Path(module.__file__).write_text("changed")
    assert module.code_version()["dirty"] is True
