"""Structured logs for Cloud Logging: one JSON object per line on standard error, with the run and the trace.

A field never contains a secret or the content of a row.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from werkzeug.datastructures import Headers

_TRACE = re.compile(r"(?:00-)?([0-9a-f]{32})\b")

_logger = logging.getLogger("bridge")
_context: ContextVar[Mapping[str, str]] = ContextVar("log context", default=MappingProxyType({}))


class Log:
    """Writes events, each with its fields and those of the log context."""

    def info(self, event: str, **fields: Any) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, error: BaseException) -> None:
        """Write an event with the stack trace of an error."""
        self._write(logging.ERROR, event, {}, error)

    def _write(self, level: int, event: str, fields: dict[str, Any], error: BaseException | None = None) -> None:
        named = {"severity": logging.getLevelName(level), "event": event}
        _logger.log(level, {**_context.get(), **fields, **named}, exc_info=error)


log = Log()


class CloudLoggingFormatter(logging.Formatter):
    """Formats the events of the bridge and the messages of libraries as Cloud Logging expects them."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, dict):
            fields = dict(record.msg)
        else:
            fields = {**_context.get(), "severity": record.levelname, "event": record.getMessage()}
        message = str(fields.pop("event", ""))
        if record.exc_info:
            # Error Reporting expects the stack trace in the message.
            message = f"{message}\n{self.formatException(record.exc_info)}"
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return json.dumps({**fields, "time": time, "message": message}, default=repr)


def configure() -> None:
    """Send all log messages, including those of libraries, through one formatter. It can be called repeatedly."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(CloudLoggingFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(os.environ.get("BRIDGE_LOG_LEVEL", "INFO"))
    for noisy in ("urllib3", "google", "werkzeug", "gunicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def begin(headers: Headers, **fields: str) -> None:
    """Start the log context of a request. Its fields are added to all lines until the next `begin` on this thread."""
    trace = _TRACE.search(headers.get("traceparent", "") or headers.get("X-Cloud-Trace-Context", ""))
    if trace:
        project = os.environ.get("GOOGLE_CLOUD_PROJECT", "-")
        fields["logging.googleapis.com/trace"] = f"projects/{project}/traces/{trace[1]}"
    _context.set(fields)


def bind(**fields: str) -> None:
    """Add fields to the log context of the request."""
    _context.set({**_context.get(), **fields})
