"""Structured logs for Cloud Logging: one JSON object per line on standard error, with the run and the trace.

A field never contains a secret or the content of a row.
"""

import logging
import os
import re
import sys
from typing import Any

import structlog
from werkzeug.datastructures import Headers

log = structlog.stdlib.get_logger()

_TRACE = re.compile(r"(?:00-)?([0-9a-f]{32})\b")


def configure() -> None:
    """Send all log messages, including those of libraries, through one formatter. It can be called repeatedly."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _for_cloud_logging,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(os.environ.get("BRIDGE_LOG_LEVEL", "INFO"))
    for noisy in ("urllib3", "google", "werkzeug", "gunicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def begin(headers: Headers, **fields: str) -> None:
    """Start the log context of a request. Its fields are added to all lines until the next `begin` on this thread."""
    structlog.contextvars.clear_contextvars()
    trace = _TRACE.search(headers.get("traceparent", "") or headers.get("X-Cloud-Trace-Context", ""))
    if trace:
        project = os.environ.get("GOOGLE_CLOUD_PROJECT", "-")
        fields["logging.googleapis.com/trace"] = f"projects/{project}/traces/{trace[1]}"
    structlog.contextvars.bind_contextvars(**fields)


def bind(**fields: str) -> None:
    """Add fields to the log context of the request."""
    structlog.contextvars.bind_contextvars(**fields)


def _for_cloud_logging(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Rename fields to `severity` and `message`, as Cloud Logging expects."""
    level = str(event.pop("level", "info"))
    event["severity"] = {"warn": "WARNING", "exception": "ERROR"}.get(level, level.upper())
    event["message"] = event.pop("event", "")
    if "exception" in event:
        # Error Reporting expects the stack trace in the message.
        event["message"] = f"{event['message']}\n{event.pop('exception')}"
    return event
