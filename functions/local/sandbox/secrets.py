"""Local Secret Manager for Google's own client, over its REST transport.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions
"""

import base64
import dataclasses
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import google_crc32c
from werkzeug.exceptions import HTTPException

from local.sandbox.routing import Router, operation
from local.sandbox.wire import Request, Response

_PARENTS = ("/v1/projects/<project>", "/v1/projects/<project>/locations/<location>")
_VERSIONS = [f"{parent}/secrets/<name>/versions" for parent in _PARENTS]
_VERSION = [f"{versions}/<wanted>" for versions in _VERSIONS]
_ACCESS = [f"{version}:access" for version in _VERSION]
_LINE = re.compile(r"\s*([A-Za-z0-9_-]{1,255})\s*=(.*)")
_LONGEST_PAGE = 25000


class MalformedLine(ValueError):
    """A line of a secrets file is not NAME=VALUE. The text of the line is not shown: it may contain a secret."""


@dataclasses.dataclass
class _SecretVersion:
    value: bytes
    created: str
    enabled: bool = True

    @property
    def state(self) -> str:
        return "ENABLED" if self.enabled else "DISABLED"


class SandboxSecrets:
    """A site with secrets and their versions, numbered from 1. The project's name is not checked."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._secrets: dict[str, list[_SecretVersion]] = {}
        self._denied: set[str] = set()
        self._damaged: dict[str, int] = {}
        self._lock = threading.RLock()
        self._router = Router(self)
        self._file: Path | None = None
        self._file_state: tuple[int, int] | None = None
        for name, value in (values or {}).items():
            self.put(name, value)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Load a file of `NAME=VALUE` lines; it is read again whenever it changes.

        Raises MalformedLine if a line is not NAME=VALUE, OSError if the file cannot be read.
        """
        secrets = cls()
        secrets._file = path
        secrets._read_file()
        return secrets

    def put(self, name: str, value: str) -> int:
        """Add a version and return its number."""
        with self._lock:
            versions = self._secrets.setdefault(name, [])
            created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            versions.append(_SecretVersion(value.encode(), created))
            return len(versions)

    def disable(self, name: str, version: int) -> None:
        with self._lock:
            self._secrets[name][version - 1].enabled = False

    def deny(self, name: str) -> None:
        """Refuse access to this secret, as for a service account without permission."""
        with self._lock:
            self._denied.add(name)

    def damage(self, name: str, times: int = 1) -> None:
        """Send so many payloads of this secret with a checksum that does not match."""
        with self._lock:
            self._damaged[name] = times

    def answer(self, request: Request) -> Response:
        with self._lock:
            try:
                self._read_file()
                return self._route(request)
            except _SecretRefusal as refusal:
                return refusal.response()
            except MalformedLine as error:
                return _SecretRefusal(500, "INTERNAL", str(error)).response()
            except OSError:
                # An editor may be replacing the file at this moment. Google's client retries a 503.
                return _SecretRefusal(503, "UNAVAILABLE", f"{self._file} cannot be read.").response()

    def _route(self, request: Request) -> Response:
        try:
            found, values = self._router.find(request)
        except HTTPException:
            raise _SecretRefusal(404, "NOT_FOUND", "Not Found") from None
        return found.answer(request, **values)

    @operation("GET", *_ACCESS)
    def _access(self, request: Request, name: str, wanted: str, **_: str) -> Response:
        parent = _parent(request)
        number = self._number(parent, name, wanted)
        version = self._secrets[name][number - 1]
        resource = f"{parent}/secrets/{name}/versions/{number}"
        if not version.enabled:
            raise _SecretRefusal(400, "FAILED_PRECONDITION", f"Secret Version [{resource}] is in DISABLED state.")
        checksum = google_crc32c.value(version.value)
        if self._damaged.get(name):
            self._damaged[name] -= 1
            checksum ^= 1
        # An int64 is text in JSON (Google's JSON mapping of protocol buffers).
        payload = {"data": base64.b64encode(version.value).decode(), "dataCrc32c": str(checksum)}
        return Response.of_json({"name": resource, "payload": payload})

    @operation("GET", *_VERSION)
    def _get(self, request: Request, name: str, wanted: str, **_: str) -> Response:
        parent = _parent(request)
        return Response.of_json(self._describe(parent, name, self._number(parent, name, wanted)))

    @operation("GET", *_VERSIONS)
    def _list(self, request: Request, name: str, **_: str) -> Response:
        parent = _parent(request)
        versions = self._versions(parent, name)
        wanted_state = re.fullmatch(r"\s*state[:=](\w+)\s*", request.argument("filter") or "")
        newest_first = [
            number
            for number in range(len(versions), 0, -1)
            if wanted_state is None or versions[number - 1].state == wanted_state.group(1).upper()
        ]
        start, size = int(request.argument("pageToken") or 0), int(request.argument("pageSize") or 0) or _LONGEST_PAGE
        answer: dict[str, Any] = {
            "versions": [self._describe(parent, name, number) for number in newest_first[start : start + size]],
            "totalSize": len(newest_first),
        }
        if start + size < len(newest_first):
            answer["nextPageToken"] = str(start + size)
        return Response.of_json(answer)

    def _versions(self, parent: str, name: str) -> list[_SecretVersion]:
        resource = f"{parent}/secrets/{name}"
        if name in self._denied:
            message = f"Permission 'secretmanager.versions.access' denied for resource '{resource}'."
            raise _SecretRefusal(403, "PERMISSION_DENIED", message)
        if name not in self._secrets:
            raise _SecretRefusal(404, "NOT_FOUND", f"Secret [{resource}] not found or has no versions.")
        return self._secrets[name]

    def _number(self, parent: str, name: str, wanted: str) -> int:
        count = len(self._versions(parent, name))
        number = count if wanted == "latest" else int(wanted) if wanted.isdecimal() else 0
        if not 1 <= number <= count:
            raise _SecretRefusal(
                404, "NOT_FOUND", f"Secret Version [{parent}/secrets/{name}/versions/{wanted}] not found."
            )
        return number

    def _describe(self, parent: str, name: str, number: int) -> dict[str, Any]:
        version = self._secrets[name][number - 1]
        resource = f"{parent}/secrets/{name}/versions/{number}"
        return {"name": resource, "createTime": version.created, "state": version.state, "etag": f'"{number}"'}

    def _read_file(self) -> None:
        if self._file is None:
            return
        status = self._file.stat()
        state = (status.st_mtime_ns, status.st_size)
        if state == self._file_state:
            return
        values = values_of(self._file.read_text(encoding="utf-8"))
        for name, value in values.items():
            newest = self._secrets.get(name, [])[-1:]
            if not newest or not newest[0].enabled or newest[0].value != value.encode():
                self.put(name, value)
        for name in self._secrets.keys() - values.keys():
            for version in self._secrets[name]:
                version.enabled = False
        self._file_state = state


class _SecretRefusal(Exception):
    def __init__(self, status: int, word: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.word = word
        self.message = message

    def response(self) -> Response:
        error = {"code": self.status, "message": self.message, "status": self.word}
        return Response.of_json({"error": error}, self.status)


def _parent(request: Request) -> str:
    """Return the project, with its location if the request names one."""
    return request.path.removeprefix("/v1/").partition("/secrets/")[0]


def values_of(text: str) -> dict[str, str]:
    """Return the values of a secrets file by name. Surrounding space and one pair of quotes are removed from a value.

    Raises MalformedLine.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise MalformedLine(f"Line {number} of the secrets file is not NAME=VALUE.")
        name, value = match.group(1), match.group(2).strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name] = value
    return values
