"""What a cell means, in GoogleSQL: the rules of `tables.equality.forms`, whose `Reading` says how a column is read.

Cells with one meaning have one text (`canonical`). A date, a time or a month has to be written in one of the forms
here; any other cell is text, which equals only itself. Texts are only compared with each other, so that it does not
matter how the database writes a number or a time.

The SQL is what BigQuery and DuckDB have in common, but for a few names (`local.sandbox.bigquery.dialect`).
"""

from collections.abc import Sequence

from common.tables.equality.forms import EXACT_DIGITS, TOLERANCE, Reading

_NUMBER = r"^\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:inf|infinity|nan))\s*$"

_MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_ANY_MONTH = "|".join(name if len(name) == 3 else f"{name[:3]}|{name}" for name in _MONTH_NAMES)  # noqa: PLR2004

# A pattern, and the replacement that writes the day as year-month-day.
_DAYS = (
    (r"^\s*(\d{4})(\d\d)(\d\d)\s*$", r"\1-\2-\3"),
    (r"^\s*(\d{4})/(\d{1,2})/(\d{1,2})\s*$", r"\1-\2-\3"),
    (r"^\s*(\d{1,2})\.(\d{1,2})\.(\d{4})\s*$", r"\3-\2-\1"),
)
_SLASHES = r"^\s*(\d{1,2})/(\d{1,2})/(\d{4})(?:\s+(?:[01]?\d|2[0-3]):[0-5]?\d:[0-5]?\d)?\s*$"
_DASHES = r"^\s*(\d{1,2})-(\d{1,2})-(\d{4})\s*$"

_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_ZONE = r"\s*(?:Z|UTC|[+-]\d\d(?::?\d\d)?)?\s*"
_TIMES = (
    (rf"^\s*({_DAY})\s*$", r"\1 00:00:00"),
    (rf"^\s*({_DAY})[ T](\d{{1,2}}:\d{{1,2}}){_ZONE}$", r"\1 \2:00"),
    (rf"^\s*({_DAY})[ T](\d{{1,2}}:\d{{1,2}}:\d{{1,2}})\.?{_ZONE}$", r"\1 \2"),
    (rf"^\s*({_DAY})[ T](\d{{1,2}}:\d{{1,2}}:\d{{1,2}}\.\d{{1,6}})\d*{_ZONE}$", r"\1 \2"),
)
_BOOLEANS = {"TRUE": ("yes", "true", "y", "1"), "FALSE": ("no", "false", "n", "0")}


def canonical(reading: Reading, cell: str) -> str:
    """Return SQL for the text that all cells with the meaning of this one have; `cell` is SQL for its text."""
    match reading.form:
        case "number":
            number = _number(reading, cell)
            # 15 digits tell all numbers apart that have no more, and are what longer ones are rounded to. -0 is 0.
            text = f"CASE WHEN {number} = 0 THEN '0' ELSE FORMAT('%.{EXACT_DIGITS}g', {number}) END"
            return f"COALESCE({text}, {cell})"
        case "date":
            whens = (
                f"WHEN {cell} LIKE '____-__-__%' THEN LEFT({cell}, 10) WHEN {cell} LIKE '____-__' THEN {cell} || '-01'"
            )
            return f"COALESCE(CASE {whens} {_rewritten(cell, _days(reading), 'DATE')} END, {cell})"
        case "time":
            return f"COALESCE(CASE {_rewritten(cell, _TIMES, 'DATETIME')} END, {cell})"
        case "month":
            return f"CASE WHEN {cell} LIKE '____-__%' THEN LEFT({cell}, 7) {_months(cell)} ELSE {cell} END"
        case "boolean":
            whens = " ".join(f"WHEN LOWER({cell}) IN {texts} THEN '{value}'" for value, texts in _BOOLEANS.items())
            return f"CASE {whens} ELSE {cell} END"
        case "text":
            return cell


def differ(mine: Reading, cell: str, theirs: Reading, other: str) -> str:
    """Return SQL that tells if two cells have different meanings."""
    unlike = f"{canonical(mine, cell)} <> {canonical(theirs, other)}"
    if mine.form != "number":
        return unlike
    a, b = _number(mine, cell), _number(theirs, other)
    is_close = f"COALESCE(ABS({a} - {b}) <= {TOLERANCE} * GREATEST(ABS({a}), ABS({b})), FALSE)"
    is_long = " OR ".join(
        f"LENGTH({_plain(reading, text)}) > {EXACT_DIGITS}" for reading, text in ((mine, cell), (theirs, other))
    )
    return f"{unlike} AND NOT (({is_long}) AND {is_close})"


def matches(text: str, pattern: str) -> str:
    """Return SQL that tells if a pattern of RE2 is found in a text."""
    return f"REGEXP_CONTAINS({text}, r'{pattern}')"


def _number(reading: Reading, cell: str) -> str:
    """Return SQL for the value of a cell; NULL if it is no number."""
    plain = _plain(reading, cell)
    return f"CASE WHEN {matches(plain, _NUMBER)} THEN SAFE_CAST(TRIM({plain}) AS FLOAT64) END"


def _plain(reading: Reading, cell: str) -> str:
    match reading.commas:
        case "none":
            return cell
        case "thousands":
            return f"REPLACE({cell}, ',', '')"
        case "decimals":
            return f"REPLACE(REPLACE({cell}, '.', ''), ',', '.')"


def _days(reading: Reading) -> list[tuple[str, str]]:
    order = r"\3-\2-\1" if reading.is_day_first else r"\3-\1-\2"
    return [*_DAYS, (_SLASHES, order), (_DASHES, order)]


def _rewritten(cell: str, forms: Sequence[tuple[str, str]], kind: str) -> str:
    """Return the branches of a CASE in which a cell of one of these forms becomes a value of a type, as text.

    A day that does not exist becomes NULL.
    """
    return " ".join(
        f"WHEN {matches(cell, pattern)} "
        f"THEN CAST(SAFE_CAST(REGEXP_REPLACE({cell}, r'{pattern}', r'{replacement}') AS {kind}) AS STRING)"
        for pattern, replacement in forms
    )


def _months(cell: str) -> str:
    """Return the branches for `Apr 26`, `Apr 2026`, `April 2026` and `04/2026`."""
    numbers = " ".join(f"WHEN '{name[:3].lower()}' THEN '{at:02}'" for at, name in enumerate(_MONTH_NAMES, 1))
    number = f"CASE LOWER(LEFT(TRIM({cell}), 3)) {numbers} END"
    year = f"RIGHT(TRIM({cell}), 2)"
    short = rf"^\s*(?i:{'|'.join(name[:3] for name in _MONTH_NAMES)})\s+\d\d\s*$"
    long = rf"^\s*(?i:{_ANY_MONTH})\s+\d{{4}}\s*$"
    digits = r"^\s*(0?[1-9]|1[0-2])/(\d{4})\s*$"
    return (
        # 69 is 1969 and 68 is 2068, as in POSIX.
        f"WHEN {matches(cell, short)} "
        f"THEN CASE WHEN {year} < '69' THEN '20' ELSE '19' END || {year} || '-' || {number} "
        f"WHEN {matches(cell, long)} THEN RIGHT(TRIM({cell}), 4) || '-' || {number} "
        f"WHEN {matches(cell, digits)} "
        rf"THEN REGEXP_REPLACE({cell}, r'{digits}', r'\2-') || LPAD(REGEXP_REPLACE({cell}, r'{digits}', r'\1'), 2, '0')"
    )
