"""The beginning of an answer of Looker's, as it was sent."""

import csv
import io
from typing import Literal

import msgspec

from common.looker.client import LookerStream

_MOST_BYTES = 4 * 1024 * 1024
"A limit that Looker ignores must not fill the memory."


class AnswerSample(msgspec.Struct, frozen=True):
    content: bytes
    content_type: str
    end: Literal["chunked", "length", "unannounced"]
    "How the answer proves that it is whole."

    def __repr__(self) -> str:
        return f"AnswerSample({len(self.content)} bytes)"

    @property
    def rows(self) -> list[list[str]]:
        return self._records()[1:]

    def record(self, place: int) -> list[str]:
        """Return a record; the first is the header. Empty if there are fewer."""
        return next(iter(self._records()[place : place + 1]), [])

    @property
    def line_ends(self) -> Literal["lf", "crlf"]:
        return "crlf" if self.content.partition(b"\n")[0].endswith(b"\r") else "lf"

    def _records(self) -> list[list[str]]:
        text = self.content.decode("utf-8-sig", "replace")
        return list(csv.reader(io.StringIO(text, newline="")))


def sample_of(stream: LookerStream) -> AnswerSample:
    """Read an answer, or its first megabytes. Raises as `LookerStream.blocks` does."""
    content = bytearray()
    with stream:
        for block in stream.blocks():
            content += block
            if len(content) > _MOST_BYTES:
                break
    is_chunked = "chunked" in stream.headers.get("Transfer-Encoding", "").lower()
    has_length = "Content-Length" in stream.headers
    end: Literal["chunked", "length", "unannounced"]
    end = "chunked" if is_chunked else "length" if has_length else "unannounced"
    return AnswerSample(bytes(content), stream.headers.get("Content-Type", ""), end)
