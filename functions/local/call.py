"""`bridge looker`: one request of one's own at Looker's API, with the bridge's login."""

import re
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from common import bridge_yaml
from common.looker.client import LookerAnswer, LookerClient
from common.platform.errors import AnswerNotUnderstood, BridgeFileInvalid, LookNotFound, MalformedRequest
from common.runs.instance import Instance
from local import bridge_file

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")

_API = "/api/4.0"
_LONGEST_CELL = 60
_LEADS_ELSEWHERE = re.compile(r"^\.{1,2}$|[/\\\x00-\x1f]")
_REFERENCE = "Looker's API reference (Looker: API Explorer) has the paths, such as /users?limit=5."


class Call(msgspec.Struct, frozen=True):
    """What is asked of Looker; its body may hold a password, so it does not show itself."""

    method: str
    path: str
    "Below `/api/4.0`, with its query as it was written."
    body: bytes | None = None

    @property
    def is_write(self) -> bool:
        return self.method != "GET"

    def __repr__(self) -> str:
        return f"Call({self.method}, {self.path.partition('?')[0]}, …)"


def call_of(method: str, path: str, body: bytes | None, where: bridge_yaml.LookerSettings) -> Call:
    """A person's words as a request of the API.

    Args:
        path: below `/api/4.0`, with or without that in front, or with all of Looker's own address.

    Raises:
        MalformedRequest: it is none, or would leave the API.
    """
    method = method.upper()
    if method not in METHODS:
        raise MalformedRequest(f"{method!r} is no method.", next_step=f"Write one of {', '.join(METHODS)}.")
    if method == "GET" and body is not None:
        raise MalformedRequest("A GET has no body.", next_step="Put what is asked for into the path: /users?limit=5.")
    return Call(method, _path_within(path, where.base_url), _json_of(body))


def send(call: Call, where: bridge_yaml.LookerSettings, instance: Instance) -> LookerAnswer:
    """What Looker answers.

    Raises:
        LookNotFound, LookerRefused, LookerBusy, LookerLoginRefused, OutOfTime, SecretUnreadable.
    """
    what = f"{call.method} {call.path.partition('?')[0]}"
    with LookerClient(where, instance.secrets, instance.deadline(), instance.chance) as looker:
        try:
            return looker.send(call.method, call.path, what, call.body)
        except LookNotFound as error:
            raise LookNotFound(
                error.cause, next_step=f"Check the path and its id, and what that user may see. {_REFERENCE}"
            ) from None


def where(path: Path) -> bridge_yaml.LookerSettings:
    """What bridge.yaml says of Looker, whatever its jobs lack.

    Raises:
        BridgeFileInvalid: it cannot be read, or says nothing usable of Looker.
    """
    raw = bridge_file.read(path)
    section = raw.get("looker") if isinstance(raw, dict) else None
    looker = bridge_yaml.decode({"looker": {} if section is None else section}).looker
    if not looker.credentials:
        raise BridgeFileInvalid(
            "looker.credentials: is missing", next_step="Write the secret that holds the client id and secret there."
        )
    return looker


def body_of(text: str | None, file: str | None) -> bytes | None:
    """The body as it was given: in words, in a file, or on standard input (`-`).

    Raises:
        MalformedRequest: it was given twice, or cannot be read.
    """
    if text is not None and file is not None:
        raise MalformedRequest("The body is given twice.", next_step="Leave --body or --file away.")
    if text is not None:
        return text.encode()
    if file is None:
        return None
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise MalformedRequest(
            f"{file} cannot be read: {error.strerror}.", next_step="Name a file that holds JSON, or - for the input."
        ) from None


def announcement(call: Call, where: bridge_yaml.LookerSettings) -> str:
    """What a write would do, for the person who asked for it."""
    body = "" if call.body is None else f"\n{msgspec.json.format(call.body, indent=2).decode()}"
    return f"{call.method} {where.base_url}{_API}{call.path}{body}"


def printed(answer: LookerAnswer) -> bytes:
    """An answer as it goes to a program: JSON indented, everything else byte for byte."""
    if not answer.body or not _is_json(answer):
        return answer.body
    try:
        return msgspec.json.format(answer.body, indent=2) + b"\n"
    except msgspec.DecodeError:
        raise AnswerNotUnderstood("Looker called its answer JSON, and it is none.") from None


def table(answer: LookerAnswer) -> tuple[Table, list[str]] | None:
    """A list of objects for a person, and the names of what is left out; None for any other answer.

    Left out is what is empty in all of them, and what has parts of its own.
    """
    rows = _objects(answer)
    if not rows:
        return None
    names = dict.fromkeys(name for row in rows for name in row)
    nested = [name for name in names if any(_has_parts(row.get(name)) for row in rows)]
    shown = [name for name in names if name not in nested and any(row.get(name) not in (None, "", []) for row in rows)]
    out = Table(*map(escape, shown), box=None)
    for row in rows:
        out.add_row(*(escape(_cell(row.get(name))) for name in shown))
    return out, nested


def _path_within(path: str, base_url: str) -> str:
    """Below the API's own address, whatever was written in front."""
    for front in (f"{base_url}{_API}", _API):
        if path.startswith(f"{front}/"):
            path = path.removeprefix(front)
    path = path if path.startswith("/") else f"/{path}"
    _expect_inside(path)
    return path


def _expect_inside(path: str) -> None:
    place = path.partition("?")[0]
    # As a server may read it, however often it is encoded.
    segments = [_decoded(segment) for segment in place[1:].split("/")]
    if re.match(r"//|/\w[\w+.-]*:", place):
        raise MalformedRequest(
            "The path leads out of Looker's API.",
            next_step=f"Write the path alone: the host is that of bridge.yaml. {_REFERENCE}",
        )
    if re.search(r"[\s#\x00-\x1f\x7f]", path) or any(map(_LEADS_ELSEWHERE.search, segments)):
        raise MalformedRequest(
            "The path holds `..`, a space, `#` or another character that would lead elsewhere.",
            next_step=f"Write it plainly, with %20 for a space. {_REFERENCE}",
        )
    if segments[0].casefold() == "api":
        raise MalformedRequest("The path names another API.", next_step=f"Only /api/4.0 is left. {_REFERENCE}")
    if segments[0].casefold() in {"", "login", "logout"}:
        raise MalformedRequest(
            "The path names nothing that can be asked for here.",
            next_step=f"The bridge logs in and out by itself, and shows no token. {_REFERENCE}",
        )


def _decoded(segment: str) -> str:
    while (plain := urllib.parse.unquote(segment)) != segment:
        segment = plain
    return segment


def _json_of(body: bytes | None) -> bytes | None:
    if body is None:
        return None
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequest(
            f"The body is not JSON: {error}.", next_step='Write such as --body \'{"first_name": "Ada"}\'.'
        ) from None
    return body


def _is_json(answer: LookerAnswer) -> bool:
    return "json" in answer.headers.get("Content-Type", "")


def _objects(answer: LookerAnswer) -> list[dict[str, Any]] | None:
    if not _is_json(answer):
        return None
    try:
        return msgspec.json.decode(answer.body, type=list[dict[str, Any]])
    except msgspec.DecodeError:
        return None


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict | list) for one in value))


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            text = value
        case list():
            text = ", ".join(map(_cell, value))
        case _:
            text = msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
