"""Names of columns that BigQuery accepts, for Parquet files and for the schemas of tables.

The one rule, in this order (https://cloud.google.com/bigquery/docs/schemas#column_names):

1. A character that BigQuery refuses becomes `_`. When a file is loaded, BigQuery accepts letters, marks, digits, spaces
   and `_-&%=+:'<>#|` (flexible column names). An external table accepts only ASCII letters, digits and `_` (the same
   page: "Flexible column names are not supported with external tables"); there, an accented letter loses its accent.
2. An empty name becomes `column_N`, where N is its place from 1.
3. A name with a prefix that BigQuery reserves gets `column` before it: `_FILE_NAME` becomes `column_FILE_NAME`. In an
   external table, a name that begins with a digit gets `_` before it.
4. A name of more than 300 characters is cut.
5. A name that another column has, in whatever case, gets the first free one of `_2`, `_3` and so on.
"""

import itertools
import string
import unicodedata
from collections.abc import Sequence

from common.platform.text import listed

_LONGEST_NAME = 300
_PUNCTUATION = frozenset(" _-&%=+:'<>#|")
_PLAIN = frozenset(string.ascii_letters + string.digits + "_")
_RESERVED_CHANGES = ("_change_sequence_number", "_change_type", "_change_timestamp")
_RESERVED = ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", *_RESERVED_CHANGES)


def distinct(
    header: Sequence[str], *, for_bigquery: bool = False, of: str = "the Parquet file"
) -> tuple[list[str], list[str]]:
    """Return a name for each column that BigQuery accepts, and warnings of those that are not the header's.

    Args:
        for_bigquery: whether an external table reads the columns.
        of: what has the names, in warnings.
    """
    accept = _accepted_by_external_tables if for_bigquery else _accepted
    accepted = [_ready(accept(name), place) for place, name in enumerate(header, 1)]
    taken = {name.casefold() for name in accepted}
    names: list[str] = []
    warnings: list[str] = []
    used: set[str] = set()
    for place, (name, new) in enumerate(zip(header, accepted, strict=True), 1):
        if new.casefold() in used:
            others = (_numbered(new, turn) for turn in itertools.count(2))
            new = next(other for other in others if other.casefold() not in taken)  # noqa: PLW2901
            taken.add(new.casefold())
        used.add(new.casefold())
        names.append(new)
        if new != name:
            named = f"Column {place}, {listed([name])}," if name else f"Column {place} has no name and"
            warnings.append(f"{named} is {listed([new])} in {of}, because BigQuery refuses its name.")
    return names, warnings


def _accepted(name: str) -> str:
    return "".join(sign if sign in _PUNCTUATION or unicodedata.category(sign)[0] in "LMN" else "_" for sign in name)


def _accepted_by_external_tables(name: str) -> str:
    signs = (sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
    plain = "".join(sign if sign in _PLAIN else "_" for sign in signs)
    return f"_{plain}" if plain[:1].isdigit() else plain


def _ready(name: str, place: int) -> str:
    name = name or f"column_{place}"
    if name.casefold().startswith(_RESERVED):
        name = f"column{name}"
    return name[:_LONGEST_NAME]


def _numbered(name: str, turn: int) -> str:
    end = f"_{turn}"
    return f"{name[: _LONGEST_NAME - len(end)]}{end}"
