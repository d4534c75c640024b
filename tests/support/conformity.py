"""Checks requests and answers against a vendor's own API description.

The descriptions are not part of this project: `BRIDGE_REFERENCE` names the folder whose `openapi/` holds them.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from local.sandbox.wire import Exchange

_HOST = "http://vendor"
_LOOKER_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


@dataclasses.dataclass(frozen=True)
class Document:
    """The validators of one API description."""

    requests: OpenAPI
    answers: OpenAPI
    "They refuse properties that are not described."

    paths: re.Pattern[str]
    "All paths of the description."

    def describes(self, path: str) -> bool:
        """Return whether the description has an operation at this path."""
        return self.paths.fullmatch(path) is not None


@functools.cache
def _documents(folder: str, name: str) -> Document:
    file = pathlib.Path(folder) / "openapi" / f"{name}.json"
    described = json.loads(file.read_bytes(), object_hook=_schema_of_anything)
    _correct(described)
    # The specification itself is not validated.
    settings = Config(spec_validator_cls=None, extra_media_type_deserializers=_Text())
    strict = dataclasses.replace(settings, additional_properties_default_policy="forbid")
    prefix = described["servers"][0]["url"].removeprefix(_HOST)
    paths = re.compile("|".join(prefix + re.sub(r"\{\w+\}", "[^/]+", path) for path in described["paths"]))
    return Document(OpenAPI.from_dict(described, settings), OpenAPI.from_dict(described, strict), paths)


def load(name: str) -> Document:
    """Load `openapi/<name>.json`, or skip the test without it."""
    folder = os.environ.get("BRIDGE_REFERENCE")
    if not folder:
        pytest.skip("BRIDGE_REFERENCE names no folder with the vendors' API descriptions")
    return _documents(folder, name)


def assert_conforms(exchange: Exchange, document: Document) -> None:
    """Check the answer and, unless it was refused, the request."""
    request = _OpenApiRequest(exchange)
    faults = list(document.answers.iter_response_errors(request, _OpenApiAnswer(exchange)))
    if exchange.status < 400:
        faults += document.requests.iter_request_errors(request)
    descriptions = "\n".join(f"  {_described(fault)}" for fault in faults)
    assert not faults, f"{exchange.method} {exchange.path} -> {exchange.status} is not as described:\n{descriptions}"


def _described(fault: Exception) -> str:
    cause = fault.__cause__ or fault
    details = [f"{error.json_path}: {error.message}" for error in getattr(cause, "schema_errors", [])]
    return "; ".join(details) or f"{fault}: {cause}"


class _Text(dict[str, Any]):
    """Decode every `text/*`: openapi-core decodes `text/plain` and `text/html` only."""

    def __contains__(self, media_type: object) -> bool:
        return str(media_type).startswith("text/")

    def __getitem__(self, _: str) -> Any:
        return lambda value, **_: value.decode() if isinstance(value, bytes) else value


class _OpenApiRequest:
    """An exchange's request with the interface of openapi-core."""

    def __init__(self, exchange: Exchange) -> None:
        self.host_url = _HOST
        self.path = exchange.path
        self.method = exchange.method.lower()
        self.body = exchange.body or None
        self.content_type = exchange.headers.get("Content-Type") or ""
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(dict[str, Any](exchange.query)), header=Headers(dict(exchange.headers))
        )


class _OpenApiAnswer:
    """An exchange's answer with the interface of openapi-core."""

    def __init__(self, exchange: Exchange) -> None:
        self.data = exchange.answer
        self.status_code = exchange.status
        self.headers = Headers(dict(exchange.answer_headers))
        self.content_type = self.headers.get("Content-Type", "")


def _correct(described: dict[str, Any]) -> None:
    """Correct the known errors of the documents."""
    server = urllib.parse.urlsplit((described.get("servers") or [{"url": "/"}])[0]["url"])
    described["servers"] = [{"url": _HOST + server.path.rstrip("/")}]
    for operation in _operations(described):
        answers = operation["responses"]
        # Looker's document omits 401; docs.cloud.google.com/looker/docs/api-troubleshooting has it.
        if "Error" in described["components"]["schemas"]:
            answers.setdefault("401", {"description": "Unauthenticated", "content": _LOOKER_ERROR})
        for status, answer in answers.items():
            content = answer.get("content", {})
            if status == "204":
                answer.pop("content", None)
            elif "text" in content:  # Looker's runs: `text` is not a media type, and their JSON is not a string
                content["text/*"] = content.pop("text")
                if status == "200":
                    content["application/json"] = {"schema": {}}


def _schema_of_anything(schema: dict[str, Any]) -> dict[str, Any]:
    """Replace the type `any` of Looker's document, which OpenAPI does not have, by an empty schema."""
    return {} if schema.get("type") == "any" else schema


def _operations(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in described["paths"].values():
        yield from (operation for name, operation in path.items() if name in {"get", "post", "put", "patch", "delete"})
