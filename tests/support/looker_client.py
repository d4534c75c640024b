"""A minimal client of the sandbox's Looker."""

import contextlib
import csv
import io
from collections.abc import Iterator
from typing import Any

import requests

from local.sandbox.looker import SandboxLooker
from local.sandbox.wire import Server


class Client:
    """A client that is logged in, on one connection."""

    def __init__(self, server: Server, looker: SandboxLooker) -> None:
        self.server = server
        self.looker = looker
        self.session = requests.Session()
        self.log_in()

    def log_in(self) -> None:
        credentials = {"client_id": self.looker.client_id, "client_secret": self.looker.client_secret}
        token = self.post("login", data=credentials).json()["access_token"]
        self.session.headers["Authorization"] = f"token {token}"

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.session.get(f"{self.server.url}/api/4.0/{path}", params=parameters, timeout=30)

    def post(self, path: str, **how: Any) -> requests.Response:
        return self.session.post(f"{self.server.url}/api/4.0/{path}", timeout=30, **how)

    def run(self, fields: list[str], result_format: str = "csv", **query: Any) -> requests.Response:
        """Run an inline query of the explore `shop` / `orders`."""
        body = {"model": "shop", "view": "orders", "fields": fields, **query}
        return self.post(f"queries/run/{result_format}", json=body)

    def rows(self, fields: list[str], **query: Any) -> list[list[str]]:
        """Return the records of a query, without the header."""
        answer = self.run(fields, **query)
        assert answer.status_code == 200, answer.text
        return list(csv.reader(io.StringIO(answer.content.decode(), newline="")))[1:]

    def column(self, field: str, **query: Any) -> list[str]:
        return [row[0] for row in self.rows([field], **query)]


@contextlib.contextmanager
def served(looker: SandboxLooker, **how: Any) -> Iterator[Client]:
    with contextlib.closing(looker), Server(looker, **how) as server:
        client = Client(server, looker)
        with client.session:
            yield client
