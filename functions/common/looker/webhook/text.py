"""Text out of a delivery, a block at a time: a JSON string of 32 MiB may be four times that once decoded."""

import binascii
import codecs
from collections.abc import Iterable, Iterator

import msgspec

from common.looker.webhook.payload import WHAT_LOOKER_SENDS
from common.platform.errors import MalformedRequest

BLOCK_BYTES = 1024 * 1024

_BYTE_ORDER_MARK = "\ufeff"
_WHITE_SPACE = b" \t\r\n"

# Two escapes, for one character outside the basic plane.
_LONGEST_CHARACTER = len(r"\ud83d\ude00")


def is_empty(value: msgspec.Raw) -> bool:
    """Whether a value is left out, null, or an empty string."""
    return len(value) == 0 or memoryview(value)[:5].tobytes() in (b"null", b'""')


def is_string(value: msgspec.Raw) -> bool:
    return memoryview(value)[:1].tobytes() == b'"'


def in_string(value: msgspec.Raw) -> Iterator[str]:
    """What a JSON string says.

    Raises:
        MalformedRequest: an escape is none, or bytes are not UTF-8.
    """
    inside = memoryview(value)[1:-1]
    start = 0
    while start < len(inside):
        text, size = _characters(inside[start : start + BLOCK_BYTES])
        yield text if start else text.removeprefix(_BYTE_ORDER_MARK)
        start += size


def in_bytes(blocks: Iterable[bytes]) -> Iterator[str]:
    """What UTF-8 says.

    Raises:
        MalformedRequest: it is none.
    """
    try:
        yield from codecs.iterdecode(blocks, "utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedRequest(
            f"The content of the delivery is not UTF-8: {error.reason}.", next_step=WHAT_LOOKER_SENDS
        ) from None


def in_value(value: msgspec.Raw) -> Iterator[str]:
    """The JSON of a value itself. Raises as `in_bytes` does."""
    content = memoryview(value)
    return in_bytes(bytes(content[start : start + BLOCK_BYTES]) for start in range(0, len(content), BLOCK_BYTES))


def from_base64(texts: Iterable[str]) -> Iterator[bytes]:
    """What base64 stands for, without the line ends that Looker puts after every 60 characters.

    Raises:
        MalformedRequest: it is none.
    """
    rest = b""
    try:
        for text in texts:
            digits = rest + text.encode().translate(None, _WHITE_SPACE)
            whole = len(digits) // 4 * 4
            # Padding ends it; what follows is refused with the padding before it.
            if b"=" in digits[:whole]:
                whole = 0
            rest = digits[whole:]
            yield binascii.a2b_base64(digits[:whole], strict_mode=True)
        yield binascii.a2b_base64(rest, strict_mode=True)
    except binascii.Error as error:
        raise MalformedRequest(f"The attachment is not base64: {error}.", next_step=WHAT_LOOKER_SENDS) from None


def _characters(piece: memoryview) -> tuple[str, int]:
    """The whole characters at the beginning of a piece, and how many bytes they are.

    A piece may end within a character; only when that is left out does the rest decode.
    """
    for left_out in range(min(_LONGEST_CHARACTER, len(piece))):
        size = len(piece) - left_out
        try:
            return msgspec.json.decode(b'"%b"' % bytes(piece[:size]), type=str), size
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    raise MalformedRequest("There is text in the delivery that is neither JSON nor UTF-8.", next_step=WHAT_LOOKER_SENDS)
