"""A file of which one write fails."""

import io
from typing import Any


class FullDisk(Exception):
    """What the write raises."""


class Brittle(io.BytesIO):
    """A file that fails after a number of writes, as when Cloud Storage refuses one."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.writes_left = writes

    def write(self, content: Any, /) -> int:
        self.writes_left -= 1
        if self.writes_left == 0:
            raise FullDisk
        return super().write(content)
