"""Services that take messages by webhook. Each refuses what its published format does not allow."""

import json
from typing import Any

from jsonschema import Draft202012Validator

from local.sandbox.wire import Request, Response

_TEXT = {"type": "string", "minLength": 1}
# Slack: "Reference: section block" and "Sending messages using incoming webhooks".
_SLACK = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text", "blocks"],
    "properties": {
        "text": {**_TEXT, "maxLength": 40_000},
        "blocks": {
            "type": "array",
            "minItems": 1,
            "maxItems": 50,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "text"],
                "properties": {
                    "type": {"const": "section"},
                    "text": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["type", "text"],
                        "properties": {"type": {"const": "mrkdwn"}, "text": {**_TEXT, "maxLength": 3000}},
                    },
                },
            },
        },
    },
}
# Microsoft: "Create incoming webhooks with Workflows"; adaptivecards.io, schema 1.4.
_TEAMS = {
    "type": "object",
    "required": ["type", "attachments"],
    "properties": {
        "type": {"const": "message"},
        "attachments": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["contentType", "content"],
                "properties": {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "contentUrl": {"type": "null"},
                    "content": {
                        "type": "object",
                        "required": ["type", "version", "body"],
                        "properties": {
                            "type": {"const": "AdaptiveCard"},
                            "version": {"const": "1.4"},
                            "body": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["type", "text"],
                                    "properties": {
                                        "type": {"const": "TextBlock"},
                                        "text": _TEXT,
                                        "weight": {"enum": ["Default", "Lighter", "Bolder"]},
                                        "wrap": {"type": "boolean"},
                                    },
                                },
                            },
                            "actions": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["type", "title", "url"],
                                    "properties": {"type": {"const": "Action.OpenUrl"}, "title": _TEXT, "url": _TEXT},
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
# Google: "Build a Google Chat app as a webhook"; reference of `spaces.messages`, `text`.
_CHAT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {"text": {**_TEXT, "maxLength": 4096}},
}
_JSON = {"type": "object", "required": ["news", "page"], "properties": {"news": {"type": "array", "minItems": 1}}}
_SCHEMAS = {"slack": _SLACK, "teams": _TEAMS, "chat": _CHAT, "json": _JSON}
_LARGEST_BYTES = {"slack": 100_000, "teams": 28 * 1024, "chat": 32_000, "json": 1_000_000}


class ChatServices:
    """A service of each format, under `/slack`, `/teams`, `/chat` and `/json`."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def answer(self, request: Request) -> Response:
        format_, content = request.path.strip("/"), request.body.read()
        if request.method != "POST" or request.headers.get("Content-Type", "") != "application/json":
            return Response(400, b"invalid_payload")
        message = json.loads(content)
        if faults(format_, message):
            return Response(400, b"invalid_blocks")
        self.messages.append(message)
        return Response(200, b"ok")


def faults(format_: str, message: Any) -> list[str]:
    """Return what the service of a format would refuse in a message."""
    found = [error.message for error in Draft202012Validator(_SCHEMAS[format_]).iter_errors(message)]
    size = len(json.dumps(message).encode())
    return found if size <= _LARGEST_BYTES[format_] else [*found, f"It has {size} bytes."]
