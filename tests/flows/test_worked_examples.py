"""What docs/extending.md shows can be done as it is shown: patches, their tests, their studies."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = ("phantom", "corruption", "network", "dataset")

# Of the tests that the examples name, those that say so within seconds.
ASKING = [
    "tests/test_architecture.py",
    "tests/datasets/public/test_every_collection.py",
    "tests/simulation/test_corruption.py",
    "tests/models/test_catalogue.py::test_names_are_unique_and_every_family_has_a_paper",
    "tests/models/gates/test_learning.py::test_every_network_of_the_catalogue_has_a_budget",
    "tests/flows/test_budgets.py::test_smoke_all_has_every_network_of_the_papers",
]

# In one process: importing takes longer than such small studies.
RUN = """
import shlex, sys
if __name__ == "__main__":
    from spinforge.flows.cli import main
    for line in sys.argv[1:]:
        sys.argv = shlex.split(line)
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
"""


@pytest.fixture(scope="module")
def patched(repository, tmp_path_factory) -> Path:
    """A copy of the tracked files with all four patches."""
    tree = tmp_path_factory.mktemp("patched")
    if not (repository / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs git and a checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, check=True, capture_output=True
    )
    for name in listed.stdout.decode().strip("\0").split("\0"):
        if (repository / name).is_symlink() or (repository / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / name, tree / name, follow_symlinks=False)
    for example in EXAMPLES:
        patch = f"examples/adding/{example}/change.patch"
        # Alone, as whoever follows one example does; then all together.
        git_apply(repository, "--check", patch)
        git_apply(tree, patch)
    return tree


def git_apply(folder, *arguments):
    done = subprocess.run(["git", "apply", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"


def run(tree, *command, **environment):
    paths = {"PYTHONPATH": str(tree / "src")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tree,
        env=os.environ | paths | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def changed_files(tree):
    """Python files that the patches name."""
    texts = [(tree / f"examples/adding/{name}/change.patch").read_text() for name in EXAMPLES]
    return sorted(set(re.findall(r"^\+\+\+ b/(\S+\.py)$", "".join(texts), re.MULTILINE)))


def test_the_patches_are_written_as_the_rest_is(patched):
    files = changed_files(patched)
    assert len(files) > 12
    run(patched, "-m", "ruff", "format", "--check", *files)
    run(patched, "-m", "ruff", "check", *files)


def test_their_tests_and_those_that_ask_for_more_hold(patched):
    texts = [(patched / f"examples/adding/{name}/change.patch").read_text() for name in EXAMPLES]
    own = re.findall(r"^\+\+\+ b/(tests/\S+/test_\S+\.py)$", "".join(texts), re.MULTILINE)
    new = [name for name in own if f"--- /dev/null\n+++ b/{name}" in "".join(texts)]
    assert len(new) == 5
    said = run(patched, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *new, *ASKING)
    assert " passed" in said


def test_their_studies_run(patched, prefect_server):
    """As each README says it, but for the patches, which are applied already."""
    lines = []
    for name in EXAMPLES:
        text = (patched / f"examples/adding/{name}/README.md").read_text()
        lines += re.findall(r"^(?:spinforge|python) .*$", text, re.MULTILINE)
    assert len(lines) == 7
    files = [line.removeprefix("python ") for line in lines if line.startswith("python")]
    for file in files:
        run(patched, file)
    commands = [line for line in lines if line.startswith("spinforge")]
    (patched / "run.py").write_text(RUN)
    run(patched, "run.py", *commands, PREFECT_API_URL=prefect_server)
    for study, result in {
        "rods": "dataset.zarr/kspace/rods-000",
        "zipper": "dataset.zarr/corrupt/motion-zipper/3",
        "dilated": "report.html",
        "hippocampus": "report.html",
    }.items():
        assert (patched / "runs" / study / result).exists()
