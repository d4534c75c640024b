"""What an API key or a token may consist of: printable ASCII, because it is sent in an HTTP header (RFC 9110, 5.5).

A key that was copied from a web page, or written by an editor, can have signs that nobody sees. Without this check, the
HTTP client fails on them, or the vendor refuses a key that looks right.
"""

import re

_FAR_TOO_MUCH = re.compile(r"(bearer|basic|token) |(authorization|x-looker-webhook-token):", re.IGNORECASE)
"What stands before the key in a header."

_NAMES = {"\n": "a line end", "\r": "a line end", "\t": "a tab", "\ufeff": "a byte order mark (U+FEFF)"}


def fault_of(key: str) -> str | None:
    """Say what is wrong with a key, as the end of a sentence that begins with its name; None if nothing is.

    The fault names a sign only if it is invisible, and its position, which counts from 1. It never contains a part of
    the key.
    """
    if not key:
        return "is empty"
    if key != key.strip():
        return "begins or ends with white space"
    if found := _FAR_TOO_MUCH.match(key):
        return f"begins with `{found[0]}`: store only the key"
    if len(key) > 1 and key[0] == key[-1] and key[0] in "\"'`":
        return "is in quotes: store the key without them"
    return invisible_sign(key) or _other_sign(key)


def invisible_sign(text: str) -> str | None:
    """Say where a text has its first sign that nobody sees: white space but for the plain space, controls, formats."""
    for position, sign in enumerate(text, 1):
        if sign != " " and not sign.isprintable():
            return f"contains {_name(sign)} at position {position}"
    return None


def _other_sign(key: str) -> str | None:
    for position, sign in enumerate(key, 1):
        if not sign.isascii():
            return f"contains a sign that is not ASCII at position {position}"
    return None


def _name(sign: str) -> str:
    import unicodedata  # noqa: PLC0415  # only a fault needs it

    code = f"U+{ord(sign):04X}"
    return _NAMES.get(sign) or f"{unicodedata.name(sign, 'a control character').lower()} ({code})"
