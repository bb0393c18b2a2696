"""Which state of the source code is running, for provenance."""

import subprocess
from pathlib import Path


def code_version() -> dict[str, str | bool]:
    """Git commit of the source tree and whether it has uncommitted changes.

    Returns:
        "commit" and "dirty"; "commit" is "unknown" outside a git checkout of Spinforge.
    """
    # Installed below somebody else's repository, git would find that one.
    ours = _git("ls-files", "--error-unmatch", Path(__file__).name) is not None
    commit = _git("rev-parse", "HEAD") if ours else None
    if commit is None:
        return {"commit": "unknown", "dirty": False}
    return {"commit": commit, "dirty": bool(_git("status", "--porcelain"))}


def _git(*arguments: str) -> str | None:
    source = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(source), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
