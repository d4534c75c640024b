"""Pigment's external API for imports, exports and metadata, with its limits and errors.

Where Pigment's API description is silent, such as on the body of an error, the answers here vary from case to case, so
that no client relies on them.
"""

import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import msgspec
from werkzeug.exceptions import HTTPException

from local.sandbox.pigment.exporting import ExportingWorkspace, Unanswerable
from local.sandbox.pigment.exporting.csv_text import Style
from local.sandbox.pigment.exporting.request_bodies import (
    BlockRequest,
    DateFormat,
    DelimiterName,
    GridRequest,
    ListRequest,
    TableRequest,
)
from local.sandbox.pigment.model import (
    Block,
    BlockType,
    Configuration,
    ErrorDetail,
    SandboxApplication,
    SandboxImport,
    View,
)
from local.sandbox.pigment.quota import Quota
from local.sandbox.routing import Router, operation
from local.sandbox.wire import Request, Response

_BLOCK_BYTES = 256 * 1024
_CSV_TYPES = ("text/csv", "application/octet-stream")
_JSON_TYPES = r"application/json|text/json|application/.+\+json"
_EXPORTED: dict[str, tuple[BlockType, ...]] = {
    "list": ("DimensionList", "TransactionList"),
    "metric": ("Metric",),
    "table": ("Table",),
}
_TOO_MANY_IMPORTS = (
    "Maximum number of reports per configuration per hour exceeded, maximum: {limit}. Please try again later."
)


R = TypeVar("R", bound=BlockRequest)
T = TypeVar("T", bound=str)


class _PigmentRefusal(Exception):
    def __init__(self, status: int, text: str, *, problem: bool = False) -> None:
        super().__init__(text)
        self.response = (
            Response.of_json(_problem(status, text), status, **{"Content-Type": "application/problem+json"})
            if problem
            else Response(status, text.encode(), {"Content-Type": "text/plain"} if text else {})
        )


class _Attachment(msgspec.Struct):
    data: str
    mimetype: str = "text/csv"


class _LookerPush(msgspec.Struct):
    """The body of a Looker webhook, without the fields that are not used here."""

    attachment: _Attachment


class SandboxPigment(ExportingWorkspace):
    """Local Pigment; serve it with `wire.Server`."""

    def __init__(
        self,
        root: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
        requests_per_5_minutes: int | None = 500,
        imports_per_hour: int | None = 300,
        max_body_bytes: int = 2 * 1024**3,
    ) -> None:
        super().__init__(root, clock)
        self.requests = Quota(requests_per_5_minutes, 300, clock)
        "Pigment counts per IP address; all callers of the sandbox have the same one."
        self.imports_per_configuration = Quota(imports_per_hour, 3600, clock)
        self.max_body_bytes = max_body_bytes
        self._router = Router(self)

    def answer(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except _PigmentRefusal as refusal:
            return refusal.response

    def _answer(self, request: Request) -> Response:
        if not self.requests.allows("this machine"):
            raise _PigmentRefusal(429, "Too many requests.")
        try:
            found, values = self._router.find(request)
        except HTTPException as error:
            raise _PigmentRefusal(error.code or 404, "") from None
        self._authorize(request, found.access)
        return found.answer(request, **values)

    def _authorize(self, request: Request, scope: str) -> None:
        """Check the API key. A key without the scope is also answered 401, not 403."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            key = request.argument("api_key", "") or "" if request.path.endswith("/push/looker") else ""
        if not key:
            raise _PigmentRefusal(401, "")
        if not self.accepts(key.strip(), scope):
            raise _PigmentRefusal(401, "Unauthorized", problem=True)

    @operation("POST", "/api/import/push/csv", "/api/v1/import/push/csv", access="Import")
    def _push_csv(self, request: Request) -> Response:
        configuration = self._configuration(request)
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _CSV_TYPES:
            raise _PigmentRefusal(415, "Unsupported Media Type", problem=True)
        # This limit is documented for this call only. It is counted before the body is read.
        if not self.imports_per_configuration.allows(configuration.id):
            raise _PigmentRefusal(429, _TOO_MANY_IMPORTS.format(limit=self.imports_per_configuration.limit))
        return self._accept(configuration, self._body(request))

    @operation("POST", "/api/import/push/looker", "/api/v1/import/push/looker", access="Import")
    def _push_looker(self, request: Request) -> Response:
        configuration = self._configuration(request)
        try:
            delivery = msgspec.json.decode(b"".join(self._body(request)), type=_LookerPush)
        except msgspec.DecodeError as error:
            raise _PigmentRefusal(400, f"The body is not a Looker delivery: {error}.", problem=True) from None
        if delivery.attachment.mimetype != "text/csv":
            raise _PigmentRefusal(400, f"Choose CSV as the format of the data, not {delivery.attachment.mimetype}.")
        return self._accept(configuration, [delivery.attachment.data.encode()])

    @operation("POST", "/api/v1/import/trigger", access="Import")
    def _trigger(self, request: Request) -> Response:
        configuration = self._configuration(request)
        source = self.sources.get(configuration.id)
        if source is None:
            raise _PigmentRefusal(400, "Invalid configuration or unsupported operation type.")
        try:
            found = source()
            return self._accept(configuration, _blocks(found) if isinstance(found, Path) else found)
        except Exception as error:  # noqa: BLE001  # any error of a source fails its import
            return self._accept_unreadable(configuration, str(error))

    def _accept(self, configuration: Configuration, content: Iterable[bytes]) -> Response:
        """Store the complete file and queue it, or store nothing."""
        import_id, digest = str(uuid4()), hashlib.sha256()
        file = self.received(import_id)
        try:
            with file.open("wb") as kept:
                for block in content:
                    digest.update(block)
                    kept.write(block)
        except BaseException:
            file.unlink()
            raise
        self.accept(configuration.id, import_id, digest.hexdigest())
        return Response.of_json({"importId": import_id})

    def _accept_unreadable(self, configuration: Configuration, reason: str) -> Response:
        accepted = SandboxImport(str(uuid4()), configuration.id, self.clock(), 0, hashlib.sha256().hexdigest())
        self.fail(accepted, ErrorDetail("SourceUnreadable", reason))
        return Response.of_json({"importId": accepted.id})

    def _body(self, request: Request) -> Iterator[bytes]:
        for block in request.body.blocks():
            if request.body.received_bytes > self.max_body_bytes:
                text = f"Size limit exceeded: the file is over {self.max_body_bytes} bytes."
                raise _PigmentRefusal(400, text, problem=True)
            yield block

    def _configuration(self, request: Request) -> Configuration:
        configuration_id = _uuid_argument(request, "configurationId")
        if configuration_id is None:
            raise _PigmentRefusal(400, "The configurationId field is required.", problem=True)
        configuration = self.records.find(Configuration, configuration_id)
        if configuration is None:
            raise _PigmentRefusal(404, "Import configuration with the specified ID was not found")
        return configuration

    @operation("GET", "/api/import/<import_id>/status", access="Import")
    def _status(self, _: Request, import_id: str) -> Response:
        return self._report(import_id, detailed=False)

    @operation("GET", "/api/v1/import/<import_id>/status", access="Import")
    def _detailed_status(self, request: Request, import_id: str) -> Response:
        return self._report(import_id, detailed=request.argument("includedDetailedReport", "") in ("true", "True"))

    def _report(self, import_id: str, *, detailed: bool) -> Response:
        report = self.report(_uuid(import_id, "importId"), detailed=detailed)
        if report is None:
            raise _PigmentRefusal(404, "Status with the specified importId was not found", problem=True)
        return Response.of_json(msgspec.to_builtins(report))

    @operation("GET", "/api/v1/applications", access="Modeling metadata")
    def _list_applications(self, _: Request) -> Response:
        return _list({"id": each.id, "name": each.name} for each in self.records.all(SandboxApplication))

    @operation("GET", "/api/v1/blocks", access="Modeling metadata")
    def _list_blocks(self, request: Request) -> Response:
        found = self.blocks(_uuid_argument(request, "applicationId"))
        return _list({"id": each.id, "name": each.name, "type": each.type} for each in found)

    @operation("GET", "/api/v1/importConfigurations", access="Modeling metadata")
    def _list_configurations(self, request: Request) -> Response:
        found = self.configurations(_uuid_argument(request, "applicationId"), _uuid_argument(request, "blockId"))
        return _list({"id": each.id, "name": each.name} for each in found)

    @operation("GET", "/api/v1/views", access="Modeling metadata")
    def _list_views(self, request: Request) -> Response:
        found = self.views(_uuid_argument(request, "applicationId"), _uuid_argument(request, "blockId"))
        return _list({"id": each.id, "name": each.name, "type": each.type} for each in found)

    @operation("GET", "/api/export/view/<view_id>", access="Export")
    def _export_view(self, request: Request, view_id: str) -> Response:
        return self._view(request, view_id, _choice(request, "dateFormat", DateFormat, "Legacy"))

    @operation("GET", "/api/v1/export/view/<view_id>", access="Export")
    def _export_view_v1(self, request: Request, view_id: str) -> Response:
        """Use the date format of the other v1 exports, because the API description of this call has none."""
        return self._view(request, view_id, "Iso8601")

    def _view(self, request: Request, view_id: str, dates: DateFormat) -> Response:
        style = Style(dates, _choice(request, "fieldDelimiter", DelimiterName, "Semicolon"))
        view = self.records.find(View, _uuid(view_id, "viewId"))
        if view is None:
            raise _PigmentRefusal(404, "View with the specified ID was not found")
        if not view.exportable:
            raise _PigmentRefusal(422, "The view underlying type is not list, metric or table", problem=True)
        if self.is_too_big(view):
            raise _PigmentRefusal(413, "View is too big to be exported. Use block export API instead.")
        return _csv(self.export_view(view, style))

    @operation("POST", "/api/export/<any(list, metric, table):kind>/<block_id>", access="Export")
    def _export_block(self, request: Request, kind: str, block_id: str) -> Response:
        return self._block(request, kind, block_id, "Legacy")

    @operation("POST", "/api/v1/export/<any(list, metric, table):kind>/<block_id>", access="Export")
    def _export_block_v1(self, request: Request, kind: str, block_id: str) -> Response:
        return self._block(request, kind, block_id, "Iso8601")

    def _block(self, request: Request, kind: str, block_id: str, dates: DateFormat) -> Response:
        block = self.records.find(Block, _uuid(block_id, f"{kind}Id"))
        if block is None or block.type not in _EXPORTED[kind]:
            raise _PigmentRefusal(404, f"{kind.capitalize()} with the specified ID was not found")
        try:
            if kind == "list":
                listed = _parse_body(request, ListRequest)
                return _csv(self.export_list(block, listed, _style(listed, dates)))
            if kind == "metric":
                measured = _parse_body(request, GridRequest)
                return _csv(self.export_grid(block, measured, _style(measured, dates)))
            shown = _parse_body(request, TableRequest)
            return _csv(self.export_grid(block, shown, _style(shown, dates)))
        except Unanswerable as error:
            raise _PigmentRefusal(400, str(error), problem=True) from None


def _problem(status: int, text: str) -> dict[str, Any]:
    """Return a body of RFC 9457."""
    return {"title": HTTPStatus(status).phrase, "status": status, "detail": text}


def _list(found: Iterable[dict[str, str]]) -> Response:
    return Response.of_json(list(found))


def _csv(blocks: Iterator[bytes]) -> Response:
    return Response(200, blocks, {"Content-Type": "text/csv"})


def _parse_body(request: Request, kind: type[R]) -> R:
    """Return the request's body; an empty body means all defaults."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    body = request.body.read()
    if body and not re.fullmatch(_JSON_TYPES, media_type):
        raise _PigmentRefusal(415, "Unsupported Media Type", problem=True)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise _PigmentRefusal(400, str(error), problem=True) from None


def _style(requested: BlockRequest, dates: DateFormat) -> Style:
    """Return the requested format. The description has no default encoding; here it is without a byte order mark."""
    return Style(
        requested.date_format or dates,
        requested.field_delimiter or "Semicolon",
        decimal_comma=requested.decimal_separator == "Comma",
        byte_order_mark=requested.encoding == "Utf8WithBom",
    )


def _choice(request: Request, name: str, choices: Any, default: T) -> T:
    """Return a query parameter that is one of a `Literal`'s values."""
    try:
        return cast("T", msgspec.convert(request.argument(name, str(default)), choices))
    except msgspec.ValidationError:
        raise _PigmentRefusal(
            400, f"The value '{request.argument(name)}' is not valid for {name}.", problem=True
        ) from None


def _uuid_argument(request: Request, name: str) -> str | None:
    text = request.argument(name)
    return _uuid(text, name) if text else None


def _uuid(text: str, name: str) -> str:
    with contextlib.suppress(ValueError):
        return str(UUID(text))
    raise _PigmentRefusal(400, f"The value '{text}' is not valid for {name}.", problem=True)


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            yield block
