"""The message at the end of a run: what it says, to whom, and that it never does harm."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prefect import flow
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

from spinforge.flows.flow_options import FLOW_OPTIONS
from spinforge.flows.notify import BLOCK
from spinforge.simulation.errors import SpinforgeError

SECRET = "dont-tell"


class Webhook(BaseHTTPRequestHandler):
    """Keeps what is sent; answers 500 under /broken."""

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.messages.append((self.path, json.loads(self.rfile.read(length))))
        self.send_response(500 if self.path.startswith("/broken") else 200)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def webhook() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Webhook)
    server.messages = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def block(prefect_server, webhook, monkeypatch):
    """Name a block that sends to a path of the server."""

    def name(path: str, name: str) -> None:
        address = f"http://127.0.0.1:{webhook.server_port}{path}/{{{{token}}}}"
        CustomWebhookNotificationBlock(
            name=name,
            url=address,
            secrets={"token": SECRET},
            json_data={"text": "{{subject}}\n{{body}}"},
        ).save(name, overwrite=True)
        monkeypatch.setenv(BLOCK, f"custom-webhook/{name}")

    return name


@flow(name="inner", **FLOW_OPTIONS)
def inner():
    raise SpinforgeError("the disk is full\nand more")


@flow(name="outer", flow_run_name="night-owl", **FLOW_OPTIONS)
def outer():
    inner()


@flow(name="fine", **FLOW_OPTIONS)
def fine():
    return 1


def test_one_message_with_state_reason_and_page(block, webhook):
    block("/night", "night")
    state = outer(return_state=True)
    assert state.is_failed()
    ((path, message),) = webhook.messages  # one, though two flows failed
    assert path == f"/night/{SECRET}"
    first, second, page = message["text"].split("\n")
    assert first == "Spinforge: outer ended as Failed"
    assert second.startswith("night-owl: ")
    assert second.endswith("the disk is full")
    assert page.endswith(str(state.state_details.flow_run_id))


def test_a_run_that_ends_well_is_not_told(block, webhook):
    block("/night", "night")
    assert fine() == 1
    assert webhook.messages == []


def test_a_message_that_fails_is_said_without_its_address(block, webhook, capsys):
    block("/broken", "broken")
    state = outer(return_state=True)
    assert state.is_failed()
    assert "the disk is full" in state.message
    assert len(webhook.messages) == 1
    said = capsys.readouterr().err
    assert "no message was sent by SPINFORGE_NOTIFY=custom-webhook/broken" in said
    assert "500" in said
    with get_client(sync_client=True) as client:
        run = LogFilterFlowRunId(any_=[state.state_details.flow_run_id])
        logs = " ".join(log.message for log in client.read_logs(LogFilter(flow_run_id=run)))
    assert SECRET not in said + logs


def test_a_block_that_is_not_there_is_said(prefect_server, monkeypatch, capsys):
    monkeypatch.setenv(BLOCK, "slack-webhook/nobody")
    assert outer(return_state=True).is_failed()
    assert "no message was sent by SPINFORGE_NOTIFY=slack-webhook/nobody" in capsys.readouterr().err


def test_nobody_is_told_without_a_block(prefect_server, monkeypatch, capsys):
    monkeypatch.delenv(BLOCK, raising=False)
    assert outer(return_state=True).is_failed()
    assert "message" not in capsys.readouterr().err
