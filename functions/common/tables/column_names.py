"""Names of Parquet columns that BigQuery accepts.

The one rule, in this order (https://cloud.google.com/bigquery/docs/schemas#column_names, flexible names included; the
same page says that external tables do not support those, only ASCII letters, digits and `_`):

1. A character other than a letter, a mark, a digit, a space or one of `_-&%=+:'<>#|` becomes `_`.
2. An empty name becomes `column_N`, where N is its place from 1.
3. A name with a prefix that BigQuery reserves gets `column` before it: `_FILE_NAME` becomes `column_FILE_NAME`.
4. A name of more than 300 characters is cut.
5. A name that another column has, in whatever case, gets the first free one of `_2`, `_3` and so on.
"""

import itertools
import unicodedata
from collections.abc import Sequence

from common.platform.text import listed

_LONGEST_NAME = 300
_PUNCTUATION = frozenset(" _-&%=+:'<>#|")
_RESERVED_CHANGES = ("_change_sequence_number", "_change_type", "_change_timestamp")
_RESERVED = ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", *_RESERVED_CHANGES)


def distinct(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return a name for each column that BigQuery accepts, and warnings of those that are not the header's."""
    accepted = [_accepted(name, place) for place, name in enumerate(header, 1)]
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
            warnings.append(f"{named} is {listed([new])} in the Parquet file, because BigQuery refuses its name.")
    return names, warnings


def _accepted(name: str, place: int) -> str:
    name = "".join(sign if _is_accepted(sign) else "_" for sign in name) or f"column_{place}"
    if name.casefold().startswith(_RESERVED):
        name = f"column{name}"
    return name[:_LONGEST_NAME]


def _is_accepted(sign: str) -> bool:
    return sign in _PUNCTUATION or unicodedata.category(sign)[0] in "LMN"


def _numbered(name: str, turn: int) -> str:
    end = f"_{turn}"
    return f"{name[: _LONGEST_NAME - len(end)]}{end}"
