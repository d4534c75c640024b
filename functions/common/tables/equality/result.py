"""What a comparison of sent rows with a block is given, and what it finds. Importing this module costs nothing."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Problem = Literal["missing", "extra", "doubled", "changed"]


class NotComparable(Exception):
    """Why what was sent cannot be compared with the block."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SentFile(msgspec.Struct, frozen=True):
    path: str
    delimiter: str


class Pairing(msgspec.Struct, frozen=True):
    """How the rows and columns of what was sent belong to those of a block."""

    key: Sequence[str]
    "Columns of what was sent."
    columns: Mapping[str, str] = {}
    "Column as sent: column of the block. A column that is not here has the same name in both."
    ignored: Sequence[str] = ()
    "Columns as sent that are not compared."
    is_day_first: bool = False
    "Whether 03/04/2024 was sent for 3 April."
    decimal_sign: Literal[".", ","] = "."
    "The block's."
    replaces: bool = False
    "Whether a row that is sent later replaces an earlier one with the same key."
    may_have_extra: bool = False
    "Whether the block usually has rows of others too."


class DifferentCell(msgspec.Struct, frozen=True):
    column: str
    sent: str
    pigment: str


class DifferentRow(msgspec.Struct, frozen=True, omit_defaults=True):
    problem: Problem
    key: list[str]
    columns: list[str] = []
    "Of a changed row: the columns that differ."
    cells: list[DifferentCell] = []
    "Only if the job asks for values."

    def without_values(self) -> "DifferentRow":
        return msgspec.structs.replace(self, cells=[])


class ColumnSum(msgspec.Struct, frozen=True):
    """The sums of a column of numbers."""

    column: str
    sent: float
    block: float


class BlockEquality(msgspec.Struct, frozen=True, omit_defaults=True):
    """How what was sent differs from what a block has. The numbers are of keys."""

    sent: int
    "Of what was sent."
    block: int
    "Rows that the block has."
    missing: int = 0
    extra: int = 0
    doubled: int = 0
    "Sent once, and in the block more than once."
    changed: int = 0
    columns: dict[str, int] = {}
    "The number of cells that differ in each column, of the changed rows that were looked at."
    rows: list[DifferentRow] = []
    "The first of each problem."
    sums: list[ColumnSum] = []
    "Only if they were asked for."

    def differs(self, *, accepts_extra: bool) -> bool:
        return bool(self.missing or self.doubled or self.changed or (self.extra and not accepts_extra))

    @property
    def has_all(self) -> bool:
        return not (self.missing or self.doubled or self.changed)

    @property
    def has_none(self) -> bool:
        """Whether the block has not one of the keys that were sent."""
        return bool(self.sent) and self.missing == self.sent and not (self.doubled or self.changed)

    def in_words(self, *, accepts_extra: bool) -> str:
        """Say in numbers what differs, without a value."""
        counts = {
            "missing": self.missing,
            "not sent": 0 if accepts_extra else self.extra,
            "more than once": self.doubled,
            "with other values": self.changed,
        }
        found = [f"{number:,} {what}" for what, number in counts.items() if number]
        cells = ", ".join(f"{name} {count:,}" for name, count in self.columns.items())
        by_key = f" By key: {', '.join(found)}{f' (cells: {cells})' if cells else ''}." if found else ""
        return f"{self.sent:,} rows were sent, the block has {self.block:,}.{by_key}"
