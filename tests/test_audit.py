"""`make audit`: what it says of licences and vulnerabilities, and when it says nothing."""

import http.server
import importlib.util
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from planted_server import free_port

CI = Path(__file__).parent.parent / ".ci"


def script(name):
    spec = importlib.util.spec_from_file_location(f"ci_{name}", CI / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


licences, audit = script("licences"), script("audit")


@pytest.mark.parametrize(
    "expression",
    ["MIT", "MIT AND BSD-3-Clause", "GPL-3.0 OR MIT", "MPL-2.0 AND (Apache-2.0 OR MIT)"],
)
def test_what_the_core_may_have(expression):
    assert licences.allowed(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "UNKNOWN",
        "",
        "GPL-3.0-only",
        "AGPL-3.0-or-later",
        "LGPL-2.1",
        "MIT AND GPL-2.0",
        "GPL-2.0 OR (MIT AND AGPL-3.0)",
        "Proprietary",
    ],
)
def test_what_it_may_not(expression):
    assert not licences.allowed(expression)
    assert len(licences.problems({"numpy"}, {"numpy": expression})) == 1


def test_a_package_without_a_licence_is_named():
    row = {
        "Name": "New.Package",
        "License-Expression": "UNKNOWN",
        "License-Classifier": "UNKNOWN",
        "License-Metadata": "UNKNOWN",
    }
    assert licences.licence(row) == "UNKNOWN"
    (line,) = licences.problems({"new-package"}, {"new-package": "UNKNOWN"})
    assert line.startswith("new-package: licence 'UNKNOWN' is unknown or not allowed in the core")


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        (("MIT", "GNU General Public License (GPL)", "GPL"), "MIT"),
        (("UNKNOWN", "BSD License", "BSD-3-Clause"), "BSD-3-Clause"),
        (("UNKNOWN", "BSD License; Apache Software License", "Dual"), "Apache-2.0 AND BSD"),
        (("UNKNOWN", "UNKNOWN", "Apache 2.0\nand more"), "Apache-2.0"),
    ],
)
def test_the_most_precise_words_count(words, expression):
    names = ("License-Expression", "License-Classifier", "License-Metadata")
    row = {"Name": "x"} | dict(zip(names, words, strict=True))
    assert licences.licence(row) == expression


def test_the_core_holds_what_its_packages_need():
    core = licences.packages(["zarr>=3"])
    assert {"zarr", "numcodecs", "numpy", "packaging"} <= core
    assert "torch" not in core


def test_the_extra_under_the_agpl_is_no_part_of_the_core_or_of_other_extras():
    import tomllib

    project = tomllib.loads((CI.parent / "pyproject.toml").read_text())["project"]
    assert any("MRzeroCore" in text for text in project["optional-dependencies"]["oracle"])
    page = (CI.parent / "docs" / "licences.md").read_text()
    assert "mrzero" not in page.lower()


def answered(vulnerabilities):
    """A service that knows these vulnerabilities of every package; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            content = json.dumps({"vulns": vulnerabilities} if vulnerabilities else {}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def audited(tmp_path, port):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("six==1.17.0\n")
    url = f"http://127.0.0.1:{port}/v1/query"
    done = subprocess.run(
        [sys.executable, str(CI / "audit.py"), str(requirements), "--osv-url", url],
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


VULNERABILITY = {
    "id": "GHSA-0000",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "bad",
    "details": "very bad",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "six"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.18.0"}]}],
            "versions": ["1.17.0"],
        }
    ],
}


@pytest.mark.parametrize(
    ("vulnerabilities", "code", "words"),
    [
        ([], audit.CLEAN, "0 of 1 vulnerable, 0 not asked"),
        ([VULNERABILITY], audit.VULNERABLE, "six 1.17.0: GHSA-0000, fixed in 1.18.0"),
    ],
)
def test_what_the_service_knows_is_said(vulnerabilities, code, words, tmp_path):
    server = answered(vulnerabilities)
    try:
        found, said = audited(tmp_path, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
    assert found == code, said
    assert words in said


def test_a_service_that_does_not_answer_is_never_clean(tmp_path):
    code, said = audited(tmp_path, free_port())
    assert code == audit.NOT_ASKED
    assert said.startswith("not asked: ")


def test_a_package_that_was_not_looked_up_is_never_clean():
    skipped = {"name": "six", "skip_reason": "Dependency not found on PyPI"}
    clean = {"name": "zarr", "version": "3.1.6", "vulns": []}
    code, lines = audit.verdict([skipped, clean], "")
    assert code == audit.NOT_ASKED
    assert lines[-1] == "0 of 1 vulnerable, 1 not asked"
    assert audit.verdict([clean], "")[0] == audit.CLEAN
    assert audit.verdict([], "")[0] == audit.NOT_ASKED
