"""What an API key or a token may consist of: printable ASCII, because it is sent in an HTTP header (RFC 9110, 5.5).

A key that was copied from a web page, or written by an editor, can have invisible characters. Without this check, the
HTTP client fails on them, or the vendor refuses a key that looks right.
"""

import re

_PREFIX = re.compile(r"(bearer|basic|token) |(authorization|x-looker-webhook-token):", re.IGNORECASE)
"What stands before the key in a header."

_NAMES = {"\n": "a line end", "\r": "a line end", "\t": "a tab", "\ufeff": "a byte order mark (U+FEFF)"}


def fault_of(key: str) -> str | None:
    """Say what is wrong with a key, as the end of a sentence that begins with its name; None if nothing is.

    The fault names a character only if it is invisible. Positions count from 1. No part of the key is shown.
    """
    if not key:
        return "is empty"
    if key != key.strip():
        return "begins or ends with white space"
    if found := _PREFIX.match(key):
        return f"begins with `{found[0]}`: store only the key"
    if len(key) > 1 and key[0] == key[-1] and key[0] in "\"'`":
        return "is in quotes: store the key without them"
    return invisible_character(key) or _other_character(key)


def invisible_character(text: str) -> str | None:
    """Say where the first invisible character is: white space but for the plain space, a control or a format."""
    for position, character in enumerate(text, 1):
        if character != " " and not character.isprintable():
            return f"contains {_name(character)} at position {position}"
    return None


def _other_character(key: str) -> str | None:
    for position, character in enumerate(key, 1):
        if not character.isascii():
            return f"contains a character that is not ASCII at position {position}"
    return None


def _name(character: str) -> str:
    import unicodedata  # noqa: PLC0415  # only a fault needs it

    code = f"U+{ord(character):04X}"
    return _NAMES.get(character) or f"{unicodedata.name(character, 'a control character').lower()} ({code})"
