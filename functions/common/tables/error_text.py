"""Whether a record is an error text that Looker wrote in place of a row.

Looker does not document the text that it appends to an answer that it has begun with status 200, nor its form. A text
of another width than the header is refused in any case. The last record of a file can be a text of the header's own
width: a sentence in a Look of one column, a sentence with as many commas as a row, or one in the first cell of a row.
"""

import re
from collections.abc import Sequence

# From public reports, and from how JDBC drivers and databases name their errors.
_FORMS = re.compile(
    r"""\s*(?:
        [\["{\s]*looker_error\b
        | "?(?i:(?:sql\ |query\ |database\ |looker\ )?(?:error|exception)\s*:)
        | "?(?:[a-z_$][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error)\b    # java.sql.SQLException
        | "?[A-Z][\w$]*(?:Exception|Error)\s*:                       # SQLSyntaxErrorException:
        | "?(?:\[[\w\ .-]+\])+\s*\(\d+\)                            # [Simba][BigQueryJDBCDriver](100032)
        | "?ORA-\d{5}\b
        )""",
    re.VERBOSE,
)
_SENTENCES = re.compile(
    r"""(?ix)\s*"?(?:
        (?:\w+\ ){0,3}(?:error|exception|fatal)\s*(?:\d+\s*)?(?:\(\w+\)\s*)?:   # ERROR 1317 (70100):
        | an?\ (?:\w+\ )?(?:error|exception)\ (?:has\ )?occurred
        | query\ (?:execution\ )?(?:was\ |has\ been\ |is\ )?
          (?:killed|cancell?ed|interrupted|aborted|terminated|timed\ out|failed)\b
        | (?:the\ )?(?:\w+\ )?(?:query|statement|job|session|transaction|connection)\ (?:was|has\ been|is)\s
          (?:killed|cancell?ed|closed|reset|lost|severed|refused|aborted|terminated|interrupted)\b
        | (?:statement|query|job|read|socket|connection)\ (?:timeout|timed\ out)\b
        | connection\ (?:reset|refused|closed|severed|terminated)\b
        | cancell?ing\ (?:statement|query)\b
        | terminating\ connection\b
        | communications\ link\ failure\b
        | lost\ connection\ to\b
        | server\ closed\ the\ connection\b
        | (?:query\ )?resources\ exceeded\b
        | lock\ wait\ timeout\b
        | caused\ by:
        | at\ [\w.$]+\([\w.:\ ]+\)\s*$                        # the lines of a Java stack
        | \.\.\.\ \d+\ (?:more|common\ frames)
        )"""
)
_TYPES = tuple(
    map(
        re.compile,
        (
            r"[+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?",
            r"\d{4}-\d\d(?:-\d\d)?(?:[ T]\d\d(?::\d\d){0,2}(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
            r"(?i:yes|no|true|false)",
        ),
    )
)


def has_the_form(text: str) -> bool:
    """Whether a text begins as only an error does: by a class name, or by a word such as `SQL Error:`."""
    return _FORMS.match(text) is not None


def has_the_words(text: str) -> bool:
    """Whether a text begins as an error does, or by a sentence of a database, which can also be data."""
    return has_the_form(text) or _SENTENCES.match(text) is not None


def ends_in_an_error(last: Sequence[Sequence[str]], earlier: Sequence[Sequence[str]]) -> bool:
    """Whether the last records of a file end in an error text. All of them have the header's width.

    Args:
        last: the last record; of a file with one column the last few, because each line of a text is a record.
        earlier: rows from the beginning of the file. They show the type of each column and some of its values.
    """
    columns = [_EarlierColumn([record[place] for record in earlier if record[place]]) for place in range(len(last[-1]))]
    for record in reversed(last):
        if _is_error_text(record, columns):
            return True
        is_data = len(record) > 1 or (record[0] and not columns[0].is_typed) or columns[0].fits(record[0])
        if is_data:
            return False
    return False


class _EarlierColumn:
    def __init__(self, values: Sequence[str]) -> None:
        self._values = set(values)
        self._type = next((form for form in _TYPES if values and all(map(form.fullmatch, values))), None)
        self.is_typed = self._type is not None

    def fits(self, cell: str) -> bool:
        """Whether a cell that is not empty has the column's type or, in a column of texts, one of its values."""
        return self._type.fullmatch(cell) is not None if self._type else cell in self._values


def _is_error_text(record: Sequence[str], columns: Sequence[_EarlierColumn]) -> bool:
    filled = [(cell, column) for cell, column in zip(record, columns, strict=True) if cell]
    if not filled:
        return False
    (first, _), *others = filled
    if any(column.is_typed and not column.fits(cell) and has_the_words(cell) for cell, column in others):
        return True
    if not has_the_words(first) or (not record[0] and others):
        return False
    # A sentence has as many commas as a row by chance, but not numbers, dates and known values where a row has them.
    known = [column.fits(cell) for cell, column in others]
    is_row = any(known) and all(fits or not column.is_typed for fits, (_, column) in zip(known, others, strict=True))
    return not is_row
