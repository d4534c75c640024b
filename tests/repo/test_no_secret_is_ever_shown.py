"""Runs that land and runs that fail, in the server that Google Cloud runs, reveal no secret and no row.

All output of the process is collected: its logs, its answers, its objects in the bucket and its requests.
"""

import dataclasses
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from local.function_server import FUNCTIONS
from local.sandbox.wire import Exchange, Request, Response, Server, Site
from tests.support.world import (
    CONFIGURATION,
    LOOKER_SECRET,
    PIGMENT_KEY,
    PULL_RUN,
    PUSH,
    ROWS,
    STATUS,
    Servers,
    World,
)

MARKER = "a-word-from-a-row"
ROWS_WITH_MARKER = [["2012-12-31", MARKER, f'"{MARKER}", twice', "3"], *ROWS]
LOGIN, LOOK = r"POST /api/4\.0/login", r"GET /api/4\.0/looks/"

_LISTENING = re.compile(r"\[INFO\] Listening at: (http://\S+)")
_OF_THE_SERVER = re.compile(r'\[[^\]]+\] \[\d+\] \[INFO\] |.*"message": "Using selector: ')
_LAST_WORDS = {"run ended", "request refused"}


class FunctionProcess:
    """A function in a separate process, and every line it writes."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "functions_framework", "--target=looker_pull", "--host=127.0.0.1", "--port=0",
             f"--source={FUNCTIONS / 'looker_pull.py'}"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(FUNCTIONS),
                "GUNICORN_LOG_LEVEL": "info",  # logs its port
                "BRIDGE_LOG_LEVEL": "DEBUG",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.url = self._line(_LISTENING.search)[1]

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as output:
            for line in output:
                with self._more:
                    self.lines.append(line)
                    self._more.notify_all()

    def _line(self, wanted: Callable[[str], Any]) -> Any:
        """Wait for a line for which `wanted` returns a result, and return this result."""
        with self._more:
            found = self._more.wait_for(lambda: next(filter(None, map(wanted, self.lines)), None), timeout=30)
        assert found, self.lines
        return found

    def log(self) -> list[dict[str, Any]]:
        """Return every line except those of the server itself, which belong to no call."""
        return [json.loads(line) for line in self.lines if not _OF_THE_SERVER.match(line)]

    def wait_for(self, trace: str) -> None:
        """Wait for the last line of a call, which is written before its answer."""
        self._line(lambda line: trace in line and json.loads(line)["message"] in _LAST_WORDS)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
        self._reader.join()


class Echo:
    """A vendor, or a proxy in front of it, that repeats some requests in its answers."""

    def __init__(self, site: Site, on: str, status: int, say: Callable[[Request], str]) -> None:
        self.site, self.on, self.status, self.say = site, on, status, say

    def answer(self, request: Request) -> Response:
        if not re.match(self.on, f"{request.method} {request.path}"):
            return self.site.answer(request)
        return Response(self.status, self.say(request).encode())


def authorization(request: Request) -> str:
    return request.headers.get("Authorization") or ""


def form(request: Request) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(request.body.read().decode(errors="replace")))


def whole(request: Request) -> str:
    return f"Authorization: {authorization(request)}\n\n{request.body.read().decode()}"


def values(request: Request) -> str:
    return f"Not valid: '{authorization(request).partition(' ')[2]}', '{form(request).get('client_secret')}'"


def as_json(request: Request) -> str:
    return json.dumps({"client": form(request), "headers": {"Authorization": authorization(request)}})


def as_a_message(request: Request) -> str:
    said = f"Token {authorization(request).partition(' ')[2]} and {form(request).get('client_secret')} are not known"
    return json.dumps({"message": said, "documentation_url": "https://docs.example/"})


@dataclasses.dataclass
class Scene:
    """A function, its world, and all of its output."""

    world: World
    function: FunctionProcess
    stranger: Server
    "The target of redirects."
    answers: list[str] = dataclasses.field(default_factory=list)
    traces: set[str] = dataclasses.field(default_factory=set)
    "Of all calls so far: a line of the call before may come late."

    def call(self, header: str = "traceparent", **body: Any) -> tuple[requests.Response, list[dict[str, Any]]]:
        """Call the function; return its answer and its log lines, which all have the trace of the call."""
        trace = secrets.token_hex(16)
        headers = {header: f"00-{trace}-00f067aa0ba902b7-01" if header == "traceparent" else f"{trace}/1;o=1"}
        before = len(self.function.log())
        response = requests.post(self.function.url, json=body, headers=headers, timeout=60)
        self.answers.append(f"{response.status_code} {dict(response.headers)} {response.text}")
        self.function.wait_for(trace)
        own = f"projects/test/traces/{trace}"
        self.traces.add(own)
        log = self.function.log()[before:]
        assert {entry.get("logging.googleapis.com/trace") for entry in log} <= self.traces
        return response, [entry for entry in log if entry["logging.googleapis.com/trace"] == own]

    def begin_anew(self) -> None:
        """Restore the world, and forget the collected output."""
        world = self.world
        world.looker_server.heal()
        world.pigment_server.heal()
        world.storage_server.heal()
        world.looker_server.site, world.pigment_server.site = world.looker, world.pigment
        world.storage_server.site = world.storage
        world.looker.client_secret = LOOKER_SECRET
        world.pigment.key(["Import"], PIGMENT_KEY)
        for path in world.objects(""):
            world.bucket.delete(path)
        self.function.lines.clear()
        self.answers.clear()
        world.put_flights(ROWS_WITH_MARKER)
        world.raw["looker"]["credentials"] = "looker-api"
        world.add_pull("flights")

    def secrets(self) -> list[str]:
        logins = (each for each in self.world.looker_server.exchanges if each.path.endswith("/login"))
        tokens = [json.loads(each.answer)["access_token"] for each in logins if each.status == 200]
        return [LOOKER_SECRET, *tokens, PIGMENT_KEY]

    def objects(self) -> dict[str, str]:
        bucket = self.world.folder / "state" / "bucket"
        files = (path for path in bucket.rglob("*") if path.is_file())
        return {str(path.relative_to(bucket)): path.read_text(errors="replace") for path in files}

    def assert_no_secret_is_shown(self) -> None:
        objects = self.objects()
        said = "\n".join([*self.function.lines, *self.answers, *objects, *objects.values(), *self.sent()])
        shown = [secret for secret in self.secrets() if secret in said or urllib.parse.quote(secret, safe="") in said]
        assert shown == [], [line for line in said.splitlines() if any(secret in line for secret in shown)]

    def sent(self) -> Iterator[str]:
        """Yield all requests without the two places of a secret: the header to its vendor, and the body of a login."""
        world = self.world
        for server in (world.looker_server, world.pigment_server, world.storage_server, world.secrets_server):
            for each in server.exchanges:
                yield f"{each.method} {each.path} {each.query} {self._headers(server, each)}"
                if not (server is world.looker_server and each.path.endswith("/login")):
                    yield each.body.decode(errors="replace")

    def _headers(self, server: Server, exchange: Exchange) -> dict[str, str]:
        *_, key = secrets = self.secrets()
        own = {self.world.looker_server: secrets[1:-1], self.world.pigment_server: [key]}.get(server, [])
        belongs = {f"Bearer {secret}" for secret in own}
        return {
            name: value for name, value in exchange.headers.items() if name != "Authorization" or value not in belongs
        }

    def assert_no_row_is_shown(self) -> None:
        kept = {path: content for path, content in self.objects().items() if not path.startswith("staged/")}
        said = [*self.function.lines, *self.answers, *kept.values()]
        assert [text for text in said if MARKER in text] == []


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with (
        pytest.MonkeyPatch.context() as environment,
        Servers() as servers,
        Server(Nothing(), keep_bytes=1 << 20) as stranger,
    ):
        world = World(tmp_path_factory.mktemp("world"), servers, {})
        for server in (world.storage_server, world.secrets_server):
            server.keep_bytes = 1 << 20
        for name, value in world.environment().items():
            environment.setenv(name, value)
        world.prepare()
        scene = Scene(world, FunctionProcess({**world.environment(), "BRIDGE_DEADLINE_S": "60"}), stranger)
        try:
            yield scene
        finally:
            scene.function.stop()
            world.close()
        scene.assert_no_secret_is_shown()


class Nothing:
    def answer(self, _: Request) -> Response:
        return Response(404)


@pytest.fixture
def scene(served: Scene) -> Scene:
    served.begin_anew()
    return served


def echo(server: str, on: str, status: int, say: Callable[[Request], str]) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        served: Server = getattr(scene.world, f"{server}_server")
        served.site = Echo(served.site, on, status, say)

    return arrange


def spoil(**how: Any) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        scene.world.looker_server.fault(PULL_RUN, **how)

    return arrange


def redirect(server: str, on: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        away = Response(307, headers={"Location": f"{scene.stranger.url}/elsewhere"})
        getattr(scene.world, f"{server}_server").fault(on, times=-1, refuse=away)

    return arrange


def put(path: str, content: bytes) -> Callable[[Scene], None]:
    """Return a fault that replaces an object of the bridge."""

    def arrange(scene: Scene) -> None:
        address = f"{scene.world.storage_server.url}/upload/storage/v1/b/bucket/o"
        asked = {"uploadType": "media", "name": path}
        requests.post(address, params=asked, data=content, timeout=30).raise_for_status()

    return arrange


def fail_unexpectedly(scene: Scene) -> None:
    """Write a journal that the bridge never writes: a pull that was publishing an object without a name."""
    receipt = {"run": "20260301T061500-00000000", "job": "flights", "kind": "pull", "started_at": ""}
    journal = {"step": "publishing", "receipt": receipt, "repeatable": False, "max_skipped": 0, "lifetime_s": 0}
    put(f"leases/{CONFIGURATION}.json", json.dumps(journal).encode())(scene)


def break_the_secret(scene: Scene) -> None:
    scene.world.secrets.put("broken", f'{{"client_id": "bridge", "client_secret": "{LOOKER_SECRET}')
    scene.world.raw["looker"]["credentials"] = "broken"
    scene.world.save_jobs()


def hide_the_secret(scene: Scene) -> None:
    scene.world.raw["looker"]["credentials"] = "no-such-secret"
    scene.world.save_jobs()


def change_the_secret(scene: Scene) -> None:
    scene.world.looker.client_secret = "another"


def take_the_scope_away(scene: Scene) -> None:
    scene.world.pigment.key(["Export"], PIGMENT_KEY)


def skip_rows(scene: Scene) -> None:
    scene.world.pigment.skip_next(CONFIGURATION, 6, "ParsingError", "Flights Origin")


JSON_ROWS = json.dumps([{"flights.day": MARKER, "title": MARKER, "message": MARKER}]).encode()
FAILURES: dict[str, tuple[int, Callable[[Scene], None]]] = {
    "wrong Looker credentials": (502, change_the_secret),
    "wrong Pigment key": (502, take_the_scope_away),
    "a secret that is broken JSON": (500, break_the_secret),
    "a secret that does not exist": (500, hide_the_secret),
    "a redirect of the login": (502, redirect("looker", LOGIN)),
    "a redirect of the Look": (502, redirect("looker", LOOK)),
    "a redirect of the run": (502, redirect("looker", PULL_RUN)),
    "a redirect of the push": (502, redirect("pigment", PUSH)),
    "an internal error": (500, fail_unexpectedly),
    "a broken cursor": (500, put("cursors/flights.json", b"{")),
    "a broken lease": (500, put(f"leases/{CONFIGURATION}.json", b"[]")),
    "a broken bridge.yaml": (500, put("config/bridge.json", b'{"pulls": 5}')),
    "storage that refuses and quotes": (500, echo("storage", "POST /upload", 403, whole)),
    "rows of another width": (502, spoil(append=f"{MARKER},{MARKER}\n".encode())),
    "a stray quote": (502, spoil(append=f'a,b,{MARKER}"{MARKER}",1\n'.encode())),
    "bytes that are not UTF-8": (502, spoil(append=f"a,b,{MARKER}".encode() + b"\xff,1\n")),
    "an error text with data": (502, spoil(append=f"SQL Error: {MARKER} is no number\n".encode())),
    "a stream cut within a row": (502, spoil(append=f"a,b,{MARKER}".encode())),
    "JSON in place of CSV": (502, spoil(refuse=Response(200, JSON_ROWS, {"Content-Type": "application/json"}))),
    "JSON that calls itself CSV": (502, spoil(refuse=Response(200, JSON_ROWS, {"Content-Type": "text/csv"}))),
    "rows that Pigment skips": (422, skip_rows),
    **{
        f"{server} echoing with {status} on {where}, {say.__name__}": (answered, echo(server, on, status, say))
        for say in (whole, values, as_json, as_a_message)
        for server, where, on, status, answered in (
            ("looker", "login", LOGIN, 400, 502),
            ("looker", "look", LOOK, 400, 502),
            ("looker", "run", PULL_RUN, 400, 502),
            ("pigment", "push", PUSH, 500, 500),
            ("pigment", "status", STATUS, 400, 502),
        )
    },
    **{
        f"pigment echoing with 400 on push, {say.__name__}": (502, echo("pigment", PUSH, 400, say))
        for say in (values, as_a_message)
    },
}


def test_a_run_that_lands_reveals_nothing(scene: Scene) -> None:
    response, log = scene.call(job="flights")

    assert response.status_code == 200, response.text
    secret, *tokens, key = scene.secrets()
    assert (secret, bool(tokens), key) == (LOOKER_SECRET, True, PIGMENT_KEY)
    assert list(scene.sent())
    scene.assert_no_secret_is_shown()
    scene.assert_no_row_is_shown()
    assert [entry["message"] for entry in log] == ["run ended"]


@pytest.mark.parametrize(("status", "arrange"), FAILURES.values(), ids=FAILURES.keys())
def test_a_run_that_fails_reveals_nothing_and_the_function_stays_up(
    scene: Scene, status: int, arrange: Callable[[Scene], None]
) -> None:
    arrange(scene)

    response, log = scene.call(job="flights")
    next_response, _ = scene.call(job=5)

    assert (response.status_code, next_response.status_code) == (status, 400), response.text
    scene.assert_no_secret_is_shown()
    scene.assert_no_row_is_shown()
    assert scene.stranger.exchanges == []
    assert_readable_by_cloud_logging(log, response.json())


def test_a_preview_shows_rows_only_in_its_answer(scene: Scene) -> None:
    response, _ = scene.call(job="flights", preview=True)

    assert MARKER in str(response.json()["preview"]["first_rows"])
    assert scene.answers.pop().count(MARKER)
    scene.assert_no_secret_is_shown()
    scene.assert_no_row_is_shown()


@pytest.mark.parametrize("header", ["traceparent", "X-Cloud-Trace-Context"])
def test_every_log_line_has_the_trace_of_its_call(scene: Scene, header: str) -> None:
    response, log = scene.call(header, job="flights")

    assert_readable_by_cloud_logging(log, response.json())


def assert_readable_by_cloud_logging(log: list[dict[str, Any]], answer: dict[str, Any]) -> None:
    receipt = answer.get("receipt", answer)
    assert log
    for entry in log:
        assert entry["severity"] in {"DEBUG", "INFO", "WARNING", "ERROR"}
        assert entry["message"]
        assert (entry.get("run"), entry.get("job")) == (receipt.get("run"), receipt.get("job"))
