"""Looker's side of the Action API: lists the actions of a hub, requests forms, executes, serves each download once."""

import json
from collections.abc import Iterator
from typing import Any

import requests

from local.sandbox.wire import Request, Response, Site
from tests.support.world import WEBHOOK_TOKEN, FunctionAnswer, World

DownloadContent = bytes | list[bytes] | list[tuple[str, str]]
"The content as bytes, or the rows."

ROWS_A_BLOCK = 1_000


class Downloads:
    """Looker with downloads: answers `/downloads/<token>` once, as in its documentation of action hubs."""

    def __init__(self, looker: Site) -> None:
        self._looker = looker
        self.contents: dict[str, DownloadContent] = {}
        self.asked: list[Request] = []

    def answer(self, request: Request) -> Response:
        if request.path.startswith("/api/"):
            return self._looker.answer(request)
        self.asked.append(request)
        content = self.contents.pop(request.path, None)
        if content is None:
            return Response(404, b"<html>Not found</html>", {"Content-Type": "text/html"})
        return Response(200, _body(content), {"Content-Type": "text/csv"})


class LookerSide:
    """Calls a hub as Looker does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.server = world.looker_server
        self.downloads = Downloads(world.looker)
        self.server.site = self.downloads
        self._made = 0

    def post(
        self, path: str = "/", body: Any = None, *, token: str | None = WEBHOOK_TOKEN, **headers: str
    ) -> FunctionAnswer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f'Token token="{token}"'
        address = path if path.startswith("http") else self.world.addresses["receive"] + path
        data = b"" if body is None else body if isinstance(body, bytes) else iter([json.dumps(body).encode()])
        response = requests.post(address, data=data, headers=sent, auth=lambda request: request, timeout=60)
        return FunctionAnswer(response.status_code, response.json(), response.headers)

    def offer(self, content: DownloadContent) -> str:
        """Return a one-time address of some rows."""
        self._made += 1
        path = f"/downloads/{self._made:040d}"
        self.downloads.contents[path] = content
        return self.server.url + path

    def execute(
        self, relay: str, url: str | None, *, choice: str | None = None, event: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Execute an action as Looker does for a schedule; return the outcome that Looker's history shows."""
        form_params = {} if choice is None else {"relay": choice}
        headers = {"X-Looker-Webhook-Id": event} if event else {}
        answer = self.post(f"/actions/{relay}/execute", execution(url, form_params, **more), **headers)
        assert answer.status == 200
        assert list(answer.body) == ["looker"]
        outcome: dict[str, Any] = answer.body["looker"]
        return outcome


def execution(url: str | None, form_params: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """`ExecutePayload` of docs/action_api.md."""
    plan = {
        "scheduled_plan_id": 7,
        "title": "Sales",
        "type": "Look",
        "url": "https://acme.example.com/looks/12",
        "query_id": 5678,
        "query": {"id": 5678, "model": "nyc", "view": "flights", "limit": "-1"},
        "filters_differ_from_look": False,
        "download_url": url,
    }
    return {
        "type": "query",
        "scheduled_plan": plan,
        "attachment": None,
        "data": {},
        "form_params": form_params,
        **more,
    }


def numbered(rows: int) -> list[tuple[str, str]]:
    return [(f"id-{number}", str(number)) for number in range(rows)]


def _body(content: DownloadContent) -> bytes | Iterator[bytes]:
    if isinstance(content, bytes):
        return content
    rows = [each for each in content if isinstance(each, tuple)]
    return _csv(rows) if rows else (each for each in content if isinstance(each, bytes))


def _csv(rows: list[tuple[str, str]]) -> Iterator[bytes]:
    yield b"Id,Amount\n"
    for start in range(0, len(rows), ROWS_A_BLOCK):
        yield "".join(f"{id_},{amount}\n" for id_, amount in rows[start : start + ROWS_A_BLOCK]).encode()
