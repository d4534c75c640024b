"""One request to Looker's API as `bridge looker` sends it."""

import re
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from common import bridge_yaml
from common.looker.client import LookerAnswer, LookerClient
from common.platform.errors import AnswerNotUnderstood, BridgeFileInvalid, LookNotFound, MalformedRequest
from common.runs.instance import Instance
from local import bridge_file, terminal

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")

_API = "/api/4.0"
_MAX_CELL = 60
_CHANGES_PATH = re.compile(r"^\.{1,2}$|[/\\\x00-\x1f]")
_REFERENCE = "Looker's API reference (Looker: API Explorer) lists the paths, such as /users?limit=5."


class LookerRequest(msgspec.Struct, frozen=True):
    """A request to Looker's API. Its body may contain a password, so `repr` leaves it out."""

    method: str
    path: str
    "Below `/api/4.0`, with its query exactly as the user wrote it."
    body: bytes | None = None

    @property
    def is_write(self) -> bool:
        return self.method != "GET"

    def __repr__(self) -> str:
        return f"LookerRequest({self.method}, {self.path.partition('?')[0]}, …)"


def read_settings(path: Path) -> bridge_yaml.LookerSettings:
    """Read the section `looker` of bridge.yaml. Faults in other sections do not matter.

    Raises:
        BridgeFileInvalid: the file cannot be read, or the section is missing or invalid.
    """
    settings = bridge_file.load_section(path, "looker").looker
    if not settings.credentials:
        raise BridgeFileInvalid(
            "looker.credentials: is missing", next_step="Write the name of the secret with Looker's API key there."
        )
    return settings


def read_body(text: str | None, file: str | None) -> bytes | None:
    """Return the body from `--body`, or from the file that `--file` names; `-` is standard input.

    Raises:
        MalformedRequest: both are given, or the file cannot be read.
    """
    if text is not None and file is not None:
        raise MalformedRequest("The body is given twice.", next_step="Remove --body or --file.")
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
            f"{file} cannot be read: {error.strerror}.", next_step="Name a file with JSON, or - for standard input."
        ) from None


def parse(method: str, path: str, body: bytes | None, settings: bridge_yaml.LookerSettings) -> LookerRequest:
    """Parse the arguments of the command.

    Args:
        path: below `/api/4.0`, or with `/api/4.0` in front, or with Looker's whole address in front.

    Raises:
        MalformedRequest: the request is invalid or would leave the API.
    """
    method = method.upper()
    if method not in METHODS:
        raise MalformedRequest(f"{method!r} is not a supported method.", next_step=f"Use one of {', '.join(METHODS)}.")
    if method == "GET" and body is not None:
        raise MalformedRequest("A GET has no body.", next_step="Put parameters into the path: /users?limit=5.")
    return LookerRequest(method, _api_path(path, settings.base_url), _validate_json(body))


def describe(request: LookerRequest, settings: bridge_yaml.LookerSettings) -> str:
    """The request in full, for the person who confirms it."""
    body = "" if request.body is None else f"\n{terminal.json_text(request.body)}"
    return f"{request.method} {settings.base_url}{_API}{request.path}{body}"


def send(request: LookerRequest, settings: bridge_yaml.LookerSettings, instance: Instance) -> LookerAnswer:
    """Send the request and return Looker's answer.

    Raises:
        LookNotFound, LookerRefused, LookerBusy, LookerLoginRefused, OutOfTime, SecretUnreadable.
    """
    name = f"{request.method} {request.path.partition('?')[0]}"
    with LookerClient(settings, instance.secrets, instance.deadline(), instance.chance) as looker:
        try:
            return looker.send(request.method, request.path, name, request.body)
        except LookNotFound as error:
            raise LookNotFound(
                error.cause, next_step=f"Check the path, its id, and the permissions of the bridge's user. {_REFERENCE}"
            ) from None


def format_body(answer: LookerAnswer) -> bytes:
    """Return the body for printing: JSON is indented, anything else is unchanged."""
    if not answer.body or not _is_json(answer):
        return answer.body
    try:
        return f"{terminal.json_text(answer.body)}\n".encode()
    except msgspec.DecodeError:
        raise AnswerNotUnderstood("Looker declared its answer to be JSON, but it is not valid JSON.") from None


def table(answer: LookerAnswer) -> tuple[Table, list[str]] | None:
    """Return a list of objects as a table and the names of omitted columns; None for any other answer.

    Columns with nested values are omitted and named. Columns that are empty in all rows are omitted.
    """
    rows = _objects(answer)
    if not rows:
        return None
    names = dict.fromkeys(name for row in rows for name in row)
    nested = [name for name in names if any(_is_nested(row.get(name)) for row in rows)]
    shown = [name for name in names if name not in nested and any(row.get(name) not in (None, "", []) for row in rows)]
    out = Table(*shown, box=None)
    for row in rows:
        out.add_row(*(_cell(row.get(name)) for name in shown))
    return out, nested


def _api_path(path: str, base_url: str) -> str:
    """Return the path below `/api/4.0`.

    Raises:
        MalformedRequest: it would leave the API.
    """
    for prefix in (f"{base_url}{_API}", _API):
        if path.startswith(f"{prefix}/"):
            path = path.removeprefix(prefix)
    path = path if path.startswith("/") else f"/{path}"
    _refuse_to_leave_api(path)
    return path


def _refuse_to_leave_api(path: str) -> None:
    without_query = path.partition("?")[0]
    # A server may decode a segment more than once.
    segments = [_decode(segment) for segment in without_query[1:].split("/")]
    if re.match(r"//|/\w[\w+.-]*:", without_query):
        raise MalformedRequest(
            "The path leaves Looker's API.",
            next_step=f"Write only the path; bridge.yaml names the host. {_REFERENCE}",
        )
    if re.search(r"[\s#\x00-\x1f\x7f]", path) or any(map(_CHANGES_PATH.search, segments)):
        raise MalformedRequest(
            "The path contains `..`, a space, `#` or another character that is not allowed there.",
            next_step=f"Write the path without them; a space is %20. {_REFERENCE}",
        )
    if segments[0].casefold() == "api":
        raise MalformedRequest("The path names another API.", next_step=f"Only /api/4.0 is supported. {_REFERENCE}")
    if segments[0].casefold() in {"", "login", "logout"}:
        raise MalformedRequest(
            "The path is empty, or names the login or the logout.",
            next_step=f"The bridge logs in and out itself, and shows no token. {_REFERENCE}",
        )


def _decode(segment: str) -> str:
    while (plain := urllib.parse.unquote(segment)) != segment:
        segment = plain
    return segment


def _validate_json(body: bytes | None) -> bytes | None:
    if body is None:
        return None
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequest(
            f"The body is not JSON: {error}.", next_step='Example: --body \'{"first_name": "Ada"}\'.'
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


def _is_nested(value: Any) -> bool:
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
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 1]}…"
