"""Prefect's server as few questions over HTTP: its own client takes seconds to import."""

import base64
import json
import urllib.error
from dataclasses import dataclass, field
from typing import Any

from spinforge.flows.doctor.network import get


@dataclass(frozen=True)
class PrefectApi:
    """The server that Prefect's settings name.

    Attributes:
        url: Its address, ending in /api.
        headers: Who asks; shown nowhere.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def configured(cls) -> "PrefectApi | None":
        """The server of the environment or of Prefect's profile; None if none is named."""
        from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL

        if not (url := PREFECT_API_URL.value()):
            return None
        headers = {}
        if key := PREFECT_API_KEY.value():
            headers["Authorization"] = f"Bearer {_plain(key)}"
        elif said := PREFECT_API_AUTH_STRING.value():
            encoded = base64.b64encode(_plain(said).encode()).decode()
            headers["Authorization"] = f"Basic {encoded}"
        return cls(str(url).rstrip("/"), headers)

    def answers(self) -> bool:
        """Whether it answers at all."""
        try:
            self.ask("/health")
        except OSError:
            return False
        return True

    def asks_who_comes(self) -> bool:
        """Whether it turns away whoever does not say who they are.

        Raises:
            OSError: If there is no answer, or another error.
        """
        try:
            PrefectApi(self.url).ask("/admin/version")
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                return True
            raise
        return False

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Answer to one question; None if it knows no such thing.

        Raises:
            OSError: If there is no answer, or an error.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = self.headers | {"Content-Type": "application/json"}
        try:
            return json.loads(get(self.url + path, data, headers) or "null")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


def _plain(secret: Any) -> str:
    return str(secret.get_secret_value() if hasattr(secret, "get_secret_value") else secret)
