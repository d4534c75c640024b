"""A message about jobs, in the format of the service that receives it.

The formats are published: Slack's "Sending messages using incoming webhooks" with the reference of section blocks (a
text of at most 3,000 characters), Microsoft's "Create incoming webhooks with Workflows" with an Adaptive Card (at most
28 KB), Google Chat's "Build a Google Chat app as a webhook" (a text of at most 4,096 characters).
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from common.bridge_yaml import NotifyEvent, NotifyFormat
from common.platform.text import shorten

_WORDS: dict[NotifyEvent, str] = {
    "failed": "failed",
    "late": "is late",
    "recovered": "is up to date again",
    "held": "waits for approval",
    "not_equal": "differs from what was sent",
}
_MOST_SHOWN = 10
_LONGEST_REASON_BYTES = 250
_LONGEST_TITLE_BYTES = 100
_LONGEST_SECTION = 3000
_LONGEST_CHAT = 4096
_LARGEST_CARD_BYTES = 27_000
"With room for what is around a card, and for how `requests` encodes it."


class JobNews(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened to one job."""

    job: str
    event: NotifyEvent
    kind: str
    title: str = ""
    reason: str = ""
    next_step: str = ""
    run: str = ""
    rows_read: int | None = None
    rows_landed: int | None = None
    rows_skipped: int = 0
    last_landing_at: str = ""


def message(news: Sequence[JobNews], format_: NotifyFormat, page: str) -> Any:
    """Return the body of a message as plain data.

    Args:
        page: the address of the status page; empty if it has none.
    """
    match format_:
        case "json":
            return {"news": [msgspec.to_builtins(each) for each in news], "page": page}
        case "slack":
            return _slack(news, page)
        case "teams":
            return _teams(news, page)
        case "chat":
            return {"text": _chat(news, page)}


def _chat(news: Sequence[JobNews], page: str) -> str:
    """Return a text with as many jobs as fit."""
    for shown in range(_MOST_SHOWN, 0, -1):
        texts = [*map(_marked, news[:shown]), *_rest(news, shown), *_link(page)]
        text = "\n\n".join(texts)
        if len(text) <= _LONGEST_CHAT:
            return text
    return text[:_LONGEST_CHAT]


def _slack(news: Sequence[JobNews], page: str) -> dict[str, Any]:
    texts = [*(_marked(each) for each in _shown(news)), *_rest(news), *_link(page)]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text[:_LONGEST_SECTION]}} for text in texts]
    return {"text": _escaped(_headline(news)), "blocks": blocks}


def _teams(news: Sequence[JobNews], page: str) -> dict[str, Any]:
    """Return a message with as many jobs as fit."""
    for shown in range(_MOST_SHOWN, 1, -1):
        found = _card(news, shown, page)
        if len(json.dumps(found)) <= _LARGEST_CARD_BYTES:
            return found
    return _card(news, 1, page)


def _card(news: Sequence[JobNews], shown: int, page: str) -> dict[str, Any]:
    body: list[dict[str, Any]] = []
    for each in news[:shown]:
        body.append({"type": "TextBlock", "text": _plain(_title(each)), "weight": "Bolder", "wrap": True})
        body += [{"type": "TextBlock", "text": _plain(text), "wrap": True} for text in _details(each)]
    body += [{"type": "TextBlock", "text": text, "wrap": True} for text in _rest(news, shown)]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if page:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Status page", "url": page}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _headline(news: Sequence[JobNews]) -> str:
    return "; ".join(_title(each) for each in _shown(news))


def _shown(news: Sequence[JobNews]) -> Sequence[JobNews]:
    return news[:_MOST_SHOWN]


def _rest(news: Sequence[JobNews], shown: int = _MOST_SHOWN) -> list[str]:
    more = len(news) - shown
    return [f"And {more:,} more jobs."] if more > 0 else []


def _title(news: JobNews) -> str:
    title = shorten(" ".join(news.title.split()), _LONGEST_TITLE_BYTES)
    return f"{news.job}{f' ({title})' if title else ''} {_WORDS[news.event]}"


def _details(news: JobNews) -> list[str]:
    counts = [
        f"{news.rows_read:,} rows read" if news.rows_read is not None else "",
        f"{news.rows_landed:,} landed" if news.rows_landed is not None else "",
        f"{news.rows_skipped:,} skipped" if news.rows_skipped else "",
    ]
    last = f"Last landing: {news.last_landing_at}" if news.last_landing_at else "It has never landed."
    lines = [
        shorten(news.reason, _LONGEST_REASON_BYTES),
        f"Next step: {shorten(news.next_step, _LONGEST_REASON_BYTES)}" if news.next_step else "",
        ", ".join(filter(None, counts)),
        last,
    ]
    return [line for line in lines if line]


def _marked(news: JobNews) -> str:
    """Return a message in the markup that Slack and Google Chat share."""
    return "\n".join([f"*{_escaped(_title(news))}*", *map(_escaped, _details(news))])


def _link(page: str) -> list[str]:
    return [f"<{page}|Status page>"] if page else []


def _escaped(text: str) -> str:
    """Escape what Slack and Google Chat read as markup of links and mentions (Slack, "Escaping text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    """Escape what a TextBlock reads as Markdown: links, emphasis and lists."""
    return "".join(f"\\{character}" if character in "\\`*_[]()#~|<>!" else character for character in text)
