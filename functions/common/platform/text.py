"""Texts of limited length: errors, receipts and metadata quote vendors and files, which can be long."""

import re
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"Except the line feed, which separates the faults of bridge.yaml."

_NOTE_BYTES = 40
"The longest note of what is left out."

_NAMES_SHOWN = 10
_LONGEST_NAME_SHOWN = 60


def shorten(text: str, most_bytes: int) -> str:
    """Return a text that can be stored and shown anywhere: at most so many bytes of UTF-8, without control characters.

    A text that is cut says how many of its characters are left out.
    """
    # A vendor's JSON can contain half a surrogate pair, which UTF-8 cannot encode.
    encoded = _CONTROL.sub(" ", text).encode(errors="replace")
    if len(encoded) <= most_bytes:
        return encoded.decode()
    kept = encoded[: max(most_bytes - _NOTE_BYTES, 0)].decode(errors="ignore")
    return f"{kept}… ({len(text) - len(kept):,} more characters)"


def listed(names: Sequence[str], become: Sequence[str] = ()) -> str:
    """Return names such as those of columns in one line; of many names, the first.

    Args:
        become: the names that they have now, if they were renamed.
    """
    shown = [_brief(name) for name in names[:_NAMES_SHOWN]]
    if become:
        shown = [f"{name} to {_brief(other)}" for name, other in zip(shown, become, strict=False)]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _brief(name: str) -> str:
    return " ".join(name[:_LONGEST_NAME_SHOWN].splitlines())
