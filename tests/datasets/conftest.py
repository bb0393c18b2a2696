"""One tiny k-space set for all that read it, and a server to download from."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from brainweb_form import LABELS, SHAPE, BrainWebForm
from minc import write_minc
from tiny_kspace import TINY

from spinforge.datasets.brainweb import images as brainweb_images
from spinforge.datasets.brainweb import subject0 as brainweb_subject0
from spinforge.datasets.brainweb import twenty as brainweb
from spinforge.datasets.products.making import make_subject
from spinforge.datasets.storage.store import DatasetStore


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory) -> DatasetStore:
    """The first two subjects of `TINY`; nothing may change them."""
    store = DatasetStore(tmp_path_factory.mktemp("kspace") / "set.zarr")
    store.create(TINY.recipe())
    for subject in ("head-000", "head-001"):
        make_subject(TINY, subject, store)
    return store


@pytest.fixture
def form() -> Iterator[str]:
    """Address of a server that plays BrainWeb's form."""
    for seen in (BrainWebForm.answers, BrainWebForm.queries, BrainWebForm.headers_seen):
        seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), BrainWebForm) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/cgi/brainweb1"
        server.shutdown()


@pytest.fixture
def small_volumes(monkeypatch):
    """Volumes of `SHAPE` are what BrainWeb's readers expect."""
    for module in (brainweb, brainweb_images, brainweb_subject0):
        monkeypatch.setattr(module, "SHAPE_ZYX", SHAPE)


@pytest.fixture
def model(tmp_path) -> bytes:
    """A crisp model as BrainWeb sends it."""
    write_minc(tmp_path / "x.mnc.gz", LABELS)
    return (tmp_path / "x.mnc.gz").read_bytes()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where downloads go; not there yet."""
    return tmp_path / "new"
