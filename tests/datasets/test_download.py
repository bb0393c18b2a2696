import errno
import gzip
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
from minc import write_minc

from spinforge.datasets import brainweb
from spinforge.datasets.download import download_missing, download_model
from spinforge.simulation.errors import SpinforgeError


class BrainWebForm(BaseHTTPRequestHandler):
    """Plays BrainWeb's download form: answers are handed out in order, the last one for ever."""

    answers: ClassVar[list[bytes | int]] = []
    queries: ClassVar[list[dict[str, list[str]]]] = []

    def do_GET(self):
        type(self).queries.append(parse_qs(urlparse(self.path).query, keep_blank_values=True))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            self.send_error(answer)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.fixture
def form():
    BrainWebForm.answers, BrainWebForm.queries = [], []
    with HTTPServer(("127.0.0.1", 0), BrainWebForm) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/cgi/brainweb1"
        server.shutdown()


@pytest.fixture
def model(tmp_path, monkeypatch) -> bytes:
    monkeypatch.setattr(brainweb, "_MINC_VOXELS", 60)
    write_minc(tmp_path / "x.mnc.gz", np.ones((3, 4, 5), dtype=np.uint8))
    return (tmp_path / "x.mnc.gz").read_bytes()


def fetch(form, folder, subject="subject04"):
    return download_model(subject, folder, form=form, wait_s=0.0)


def test_a_model_is_asked_for_and_kept(form, model, tmp_path):
    BrainWebForm.answers = [model]
    path = fetch(form, tmp_path / "new")
    assert path.name == "subject04_crisp_v.mnc.gz"
    assert path.read_bytes() == model
    query = BrainWebForm.queries[0]
    assert query["do_download_alias"] == ["subject04_crisp"]
    assert query["format_value"] == ["minc"]
    assert query["download_for_real"] == ["[Start download!]"]


def test_a_whole_file_is_not_fetched_again(form, model, tmp_path):
    BrainWebForm.answers = [model]
    fetch(form, tmp_path)
    fetch(form, tmp_path)
    assert len(BrainWebForm.queries) == 1


def test_uncompressed_answers_are_kept_under_their_own_name(form, model, tmp_path):
    BrainWebForm.answers = [gzip.decompress(model)]
    assert fetch(form, tmp_path / "new").name == "subject04_crisp_v.mnc"


def test_passing_failures_are_tried_again(form, model, tmp_path):
    BrainWebForm.answers = [503, 503, model]
    assert fetch(form, tmp_path / "new").is_file()


def test_lasting_failures_are_named(form, tmp_path):
    BrainWebForm.answers = [503]
    with pytest.raises(SpinforgeError, match=r"cannot download .*503.* Check the network"):
        fetch(form, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_failing_disk_is_no_network_fault(form, model, tmp_path, monkeypatch, code):
    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    BrainWebForm.answers = [model]
    monkeypatch.setattr("spinforge.datasets.download.os.fsync", fail)
    with pytest.raises(SpinforgeError, match=rf"cannot write to .*new: {os.strerror(code)}"):
        fetch(form, tmp_path / "new")
    assert len(BrainWebForm.queries) == 1
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m[: len(m) // 2], "truncated or damaged"),
        (lambda m: b"<html>error</html>", "is a web page"),
        (lambda m: b"", "is not a MINC1 file"),
    ],
    ids=["truncated", "page", "empty"],
)
def test_unusable_answers_leave_no_file(form, model, tmp_path, spoil, message):
    BrainWebForm.answers = [spoil(model)]
    with pytest.raises(SpinforgeError, match=message):
        fetch(form, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_unknown_subjects_are_refused_before_asking(form, tmp_path):
    with pytest.raises(SpinforgeError, match="'subject07' is none of BrainWeb's twenty"):
        fetch(form, tmp_path, "subject07")
    assert BrainWebForm.queries == []


def test_only_missing_subjects_are_fetched(model, tmp_path, monkeypatch):
    (tmp_path / "subject04_crisp_v.mnc.gz").write_bytes(model)
    fetched = []
    monkeypatch.setattr(
        "spinforge.datasets.download.download_model",
        lambda subject, folder: fetched.append(subject),
    )
    download_missing(tmp_path, ["subject04", "subject05"])
    assert fetched == ["subject05"]
