"""What of the Dockerfile can be checked without Docker."""

import re
import tomllib
from fnmatch import fnmatch

import pytest


@pytest.fixture(scope="module")
def instructions(repository) -> list[tuple[str, str]]:
    """Instruction and rest of every line, continued lines joined."""
    text = (repository / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [tuple(line.split(maxsplit=1)) for line in lines if line and line[0] != "#"]


def sources(instructions) -> list[str]:
    copied = [rest.split()[:-1] for name, rest in instructions if name == "COPY"]
    return [source for several in copied for source in several]


def test_everything_copied_is_there_and_not_ignored(instructions, repository):
    ignored = (repository / ".dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored  # all else stays outside
    assert set(sources(instructions)) == let_through
    for source in sources(instructions):
        assert (repository / source).exists(), source


def test_every_folder_of_the_package_is_copied(instructions, repository):
    linked = {path.name for path in (repository / "src/spinforge").iterdir() if path.is_symlink()}
    assert len(linked) == 5
    assert linked <= set(sources(instructions))


def test_what_pyproject_reads_is_copied_before_it_is_installed(instructions, repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    install = next(n for n, (_, rest) in enumerate(instructions) if "-e ." in rest)
    assert {project["readme"], *project["license-files"]} <= set(sources(instructions[:install]))


def test_the_python_fits(instructions, repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    ((_, image),) = [pair for pair in instructions if pair[0] == "FROM"]
    version = re.fullmatch(r"python:(3\.\d+)-slim", image)[1]
    assert project["requires-python"] == f">={version}"


def test_torch_is_the_locked_one_from_an_index_of_its_own(instructions, repository):
    (line,) = [rest for name, rest in instructions if name == "RUN" and "TORCH_INDEX" in rest]
    pattern = re.search(r"grep '\^(.*)' requirements.lock", line)[1]
    locked = (repository / "requirements.lock").read_text().splitlines()
    (torch,) = [pin for pin in locked if pin.startswith(pattern)]
    assert re.fullmatch(r"torch==[\d.]+", torch)


def test_any_command_can_be_given_and_not_root_runs_it(instructions, repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    last = dict(instructions)
    assert "ENTRYPOINT" not in last  # Prefect's worker gives `prefect flow-run execute`
    assert last["CMD"] == '["spinforge", "--help"]'
    assert "spinforge" in project["scripts"]
    assert last["USER"] != "root"


def test_no_secret_is_built_in(instructions):
    for name, rest in instructions:
        assert not any(fnmatch(rest.lower(), f"*{word}*") for word in ("token", "password", "key="))
        assert name != "ADD"  # fetches and unpacks
