"""Known vulnerabilities of the pinned versions, as the OSV database has them: `make audit`.

Exit code 0: clean, every package was asked about; 1: something is vulnerable; 3: not asked, because
the service could not be reached or does not know some package. "Not asked" is never "clean": the
service of a package index answers for a mirror, too, without knowing any vulnerability.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CLEAN, VULNERABLE, NOT_ASKED = 0, 1, 3
ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Ask, print the answer, and say it by the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requirements", nargs="?", type=Path, default=ROOT / "requirements.lock")
    parser.add_argument("--osv-url", default="https://api.osv.dev/v1/query")
    options = parser.parse_args()
    report, reason = ask(options.requirements, options.osv_url)
    code, lines = verdict(report, reason)
    print("\n".join(lines))
    return code


def ask(requirements: Path, url: str) -> tuple[list[dict[str, Any]] | None, str]:
    """What pip-audit found about each package, or None and why there is no answer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", "osv"]
        command += ["--osv-url", url, "--requirement", str(requirements), "--no-deps"]
        command += ["--disable-pip", "--format", "json", "--output", str(file)]
        command += ["--progress-spinner", "off", "--desc", "off"]
        done = subprocess.run(command, capture_output=True, text=True)
        try:
            return json.loads(file.read_text())["dependencies"], ""
        except (OSError, ValueError, KeyError):
            return None, (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]


def verdict(report: list[dict[str, Any]] | None, reason: str) -> tuple[int, list[str]]:
    """Exit code and what to print."""
    if report is None:
        return NOT_ASKED, [f"not asked: {reason}", "This says nothing about vulnerabilities."]
    vulnerable = [found for found in report if found.get("vulns")]
    skipped = [found for found in report if "skip_reason" in found]
    lines = []
    for found in vulnerable:
        for known in found["vulns"]:
            fixed = ", ".join(known["fix_versions"]) or "no version yet"
            lines.append(f"{found['name']} {found['version']}: {known['id']}, fixed in {fixed}")
    lines += [f"not asked: {found['name']} ({found['skip_reason']})" for found in skipped]
    asked = len(report) - len(skipped)
    lines.append(f"{len(vulnerable)} of {asked} vulnerable, {len(skipped)} not asked")
    if vulnerable:
        return VULNERABLE, lines
    return (NOT_ASKED if skipped or not report else CLEAN), lines


if __name__ == "__main__":
    sys.exit(main())
