"""Logs: one JSON object a line on standard error, as Cloud Logging reads them, each with its run and its trace.

Neither a secret nor the content of a row is ever a field; what is bound here is all there is.
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
    """Send everything, other libraries' warnings included, through one formatter. Twice is the same as once."""
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
    # At DEBUG, hpack writes down every header of a request: the key too.
    for noisy in ("urllib3", "google", "werkzeug", "gunicorn.access", "httpx", "httpcore", "hpack"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def begin(headers: Headers, **fields: str) -> None:
    """Start a call's context: what is bound goes with every line until the next call on this thread."""
    structlog.contextvars.clear_contextvars()
    trace = _TRACE.search(headers.get("traceparent", "") or headers.get("X-Cloud-Trace-Context", ""))
    if trace:
        project = os.environ.get("GOOGLE_CLOUD_PROJECT", "-")
        fields["logging.googleapis.com/trace"] = f"projects/{project}/traces/{trace[1]}"
    structlog.contextvars.bind_contextvars(**fields)


def bind(**fields: str) -> None:
    structlog.contextvars.bind_contextvars(**fields)


def _for_cloud_logging(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Cloud Logging's own names: `severity` and `message`."""
    level = str(event.pop("level", "info"))
    event["severity"] = {"warn": "WARNING", "exception": "ERROR"}.get(level, level.upper())
    event["message"] = event.pop("event", "")
    if "exception" in event:
        # Error Reporting groups by a trace inside the message.
        event["message"] = f"{event['message']}\n{event.pop('exception')}"
    return event
