"""A vendor's own explanation of a refusal, in whichever form its answer has it: JSON, text, or none in a web page."""

import contextlib
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import requests

from common.platform.http import redacted

_LONGEST_BODY_BYTES = 16 * 1024
_LONGEST_WORDS = 300
_LONGEST_FAULTS = 600
"Characters: enough for every field of a user."
_ESCAPED_QUOTE = re.compile(r'\\+"')
_WEB_PAGES = ("<!doctype html", "<html")


class Explanation(msgspec.Struct, frozen=True):
    words: str
    "To be shown: short and without secrets; may be empty."
    text: str
    "All that the answer says, in lower case. It is searched and never shown."
    is_web_page: bool
    "Whether it is a page for a browser, which no API of a vendor sends: something before the vendor answered."


class _Refusal(msgspec.Struct, frozen=True, rename={"errors_details": "errorsDetails"}):
    """The members that explain a refusal: of RFC 9457 (`detail`, `title`), of ASP.NET (`errors` by field), of Looker's
    API 4.0 (`message`, `errors`, and `looker_error` of a query), and of Pigment's import status (`errorsDetails`).
    """

    detail: Any = None
    message: Any = None
    looker_error: Any = None
    error: Any = None
    errors: Any = None
    errors_details: Any = None
    title: Any = None


def explanation_of(response: requests.Response) -> Explanation:
    """Return the explanation in an answer. An answer that breaks off is explained by what has arrived."""
    body = beginning_of(response.iter_content(_LONGEST_BODY_BYTES))
    return explanation_in(body, response.headers.get("Content-Type", ""), _secrets_of(response.request))


def explanation_in(body: bytes, content_type: str, secrets: Iterable[str]) -> Explanation:
    """Return the explanation in a body, or in its beginning.

    Args:
        secrets: the credentials of the request, which the body may repeat.
    """
    text = " ".join(body.decode("utf-8", "replace").split())
    is_markup = text.startswith("<")
    is_web_page = "html" in content_type.lower() or text.lower().startswith(_WEB_PAGES)
    words, faults = ("", "") if is_markup or is_web_page else _words_in(body) or (text, "")
    words, faults = _showable(words, secrets)[:_LONGEST_WORDS], _showable(faults, secrets)[:_LONGEST_FAULTS]
    shown = ": ".join(filter(None, (words.removesuffix(".") if faults else words, faults)))
    return Explanation(shown, f"{text} {words} {faults}".lower(), is_web_page)


def beginning_of(pieces: Iterable[bytes]) -> bytes:
    """Return the first 16 KiB of an answer, or what arrives of them before it breaks off."""
    body = bytearray()
    with contextlib.suppress(Exception):  # of whichever library reads it
        for piece in pieces:
            body += piece
            if len(body) >= _LONGEST_BODY_BYTES:
                break
    return bytes(body[:_LONGEST_BODY_BYTES])


def _words_in(body: bytes) -> tuple[str, str] | None:
    """Return the message in JSON and the faults that it lists; None if the body is not JSON, or has neither."""
    try:
        decoded: _Refusal | list[_Refusal] | str = msgspec.json.decode(body, type=_Refusal | list[_Refusal] | str)
        if isinstance(decoded, str):
            return decoded, ""
        refusals = decoded if isinstance(decoded, list) else [decoded]
        return next(filter(any, map(_explain, refusals)), None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _explain(refusal: _Refusal) -> tuple[str, str]:
    messages = (refusal.detail, refusal.message, refusal.looker_error, refusal.error)
    words = next(filter(None, map(_joined, messages)), "")
    faults = "; ".join(filter(None, map(_joined, (refusal.errors, refusal.errors_details))))
    return words or ("" if faults else _joined(refusal.title)), faults


def _joined(value: Any) -> str:
    return "; ".join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value, each with the name of its field."""
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from _texts(each)
        case {"message": str(text)} | {"description": str(text)}:
            field = value.get("field") or value.get("name")
            yield f"{field}: {text}" if field else text
        case dict():
            yield from (
                f"{field}: {text}" if field else text for field, inner in value.items() for text in _texts(inner)
            )


def _showable(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "…")
    # Vendors escape twice when they quote an answer of another service, and JSON of an unknown form is shown as it is.
    return redacted(_ESCAPED_QUOTE.sub('"', " ".join(text.split())))


def _secrets_of(request: requests.PreparedRequest) -> list[str]:
    """Return the credentials of a request, which its answer may repeat: the token, or the secret in a login form."""
    token = request.headers.get("Authorization", "").partition(" ")[2]
    form = urllib.parse.parse_qs(request.body) if isinstance(request.body, str) else {}
    return [secret for secret in (token, *form.get("client_secret", [])) if secret]
