"""Find the type of each column of an export while its records stream in: that of the form that all its cells have.

A column whose cells have no form (`cell_forms`) in common is text, without any change. An empty cell is null. A column
of empty cells is text.

A column keeps its type from run to run, so that the files of several days are one dataset. What no longer fits makes it
text, for good, with a warning. Warnings are logged, so they name the column and the row, and no value.

bridge.yaml can pin the type of a column. A cell that is no such value is an error, which names the row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from common.platform.errors import RowsMalformed, TypeMismatch
from common.platform.text import listed
from common.tables.arrow import read_records
from common.tables.cell_forms import TEXT, CellForm, CellForms, why_no_value, why_not
from common.tables.column_names import distinct

_PIECE_BYTES = 1024 * 1024

KeptTypes = Mapping[str, Sequence[str]]
"By name of a column, the forms that each of its cells has had. Of none, it is text."


class ColumnTypes:
    """Finds the type of each column while records stream in.

    Args:
        date_format: the one that Pigment was asked for, Iso8601 or Legacy.
        earlier: the types of earlier runs, as `kept` returned them.
        pins: the types of columns, by the header, that bridge.yaml names.
        for_bigquery: whether an external table of BigQuery reads the columns by their names.
    """

    def __init__(
        self,
        header: Sequence[str],
        delimiter: str = ",",
        decimal_separator: str = ".",
        date_format: str = "Iso8601",
        earlier: KeptTypes | None = None,
        pins: Mapping[str, str] | None = None,
        *,
        for_bigquery: bool = False,
    ) -> None:
        self.delimiter = delimiter
        self.decimal_separator = decimal_separator
        self.names, self._warnings = distinct(header, for_bigquery=for_bigquery)
        self._earlier = earlier or {}
        self._forms = CellForms.of(decimal_separator, date_format)
        pins = pins or {}
        self._columns = [
            _Column(old if old in pins else name, self._forms, self._earlier.get(name), pins.get(old))
            for old, name in zip(header, self.names, strict=True)
        ]
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def feed(self, records: bytes) -> None:
        """Take complete records without the header.

        Raises RowsMalformed if they do not have the header's columns, TypeMismatch if a value has not the pinned type.
        """
        self._pending.append(records)
        self._pending_bytes += len(records)
        if self._pending_bytes >= _PIECE_BYTES:
            self._find_types()

    def finish(self) -> None:
        """Look at the last records. Raises as `feed`."""
        self._find_types()

    def schema(self) -> Any:
        """Return the Arrow schema that fits every record so far."""
        self._find_types()
        return pa.schema([(name, column.form.type) for name, column in zip(self.names, self._columns, strict=True)])

    def warnings(self) -> list[str]:
        """Return what the reader of the file should know: columns that are named or typed otherwise than expected."""
        self._find_types()
        return [*self._warnings, *(column.warning for column in self._columns if column.warning)]

    def kept(self) -> KeptTypes:
        """Return what the next run needs to give columns the same types, also those that are not in this file."""
        self._find_types()
        now = {name: column.kept for name, column in zip(self.names, self._columns, strict=True)}
        return {**self._earlier, **now}

    def cells(self, records: bytes, places: Sequence[int] | None = None) -> Any:
        """Read complete records as a table of text, an empty cell as null; of all columns, or of some by their places.

        Raises RowsMalformed if they do not have the header's columns.
        """
        only = None if places is None else [str(place) for place in places]
        empty_is_null = {"null_values": [""], "strings_can_be_null": True, "quoted_strings_can_be_null": True}
        try:
            return read_records(records, len(self._columns), self.delimiter, include_columns=only, **empty_is_null)
        except pa.ArrowInvalid:
            # Arrow's message quotes the record.
            raise RowsMalformed("Pigment's file contains a record that Arrow cannot read as CSV.") from None

    def look_at(self, cells: Any) -> None:
        """Take the next records, as a table of all their cells. Raises TypeMismatch as `feed`."""
        for column, each in zip(self._columns, cells.columns, strict=True):
            column.feed(each)

    def conversion(self) -> Callable[[Any], Any]:
        """Return a function that converts cells to a table with the schema of now, whatever later cells change. It
        raises ArrowInvalid if they do not fit.
        """
        schema, forms = self.schema(), [column.form for column in self._columns]

        def convert(cells: Any) -> Any:
            columns = [form.values(each) for form, each in zip(forms, cells.columns, strict=True)]
            return pa.table(columns, schema=schema)

        return convert

    def _find_types(self) -> None:
        records = b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        open_places = [place for place, column in enumerate(self._columns) if not column.is_text]
        if not records or not open_places:
            return
        for place, each in zip(open_places, self.cells(records, open_places).columns, strict=True):
            self._columns[place].feed(each)


class _Column:
    """The forms that each cell of a column has, so far."""

    def __init__(self, name: str, forms: CellForms, earlier: Sequence[str] | None, pin: str | None) -> None:
        self._name = name
        self._is_pinned = pin is not None
        self._is_decided = self._is_pinned or earlier is not None
        self._rows = 0
        self._warning = ""
        before = None if earlier is None else _kind_of(earlier)
        if pin is not None:
            self._open = forms.of_pin(pin)
            if before not in (None, pin):
                self._warning = f"Column {listed([name])} was {before} in earlier files and is {pin} from this one on."
            return
        self._open = forms.found if earlier is None else forms.named(earlier)
        if earlier and not self._open:
            because = f"the format {forms.date_format} has no {before}"
            self._warning = f"Column {listed([name])} is not a {before} but text: {because}."

    @property
    def form(self) -> CellForm:
        return self._open[0] if self._is_decided and self._open else TEXT

    @property
    def is_text(self) -> bool:
        """Whether the column is text, whatever follows."""
        return not self._open

    @property
    def kept(self) -> list[str]:
        """The names of the forms that a later file may have; none for text, as which an empty column is written."""
        return [form.name for form in self._open] if self._is_decided else []

    @property
    def warning(self) -> str:
        if not self._is_decided:
            return f"Column {listed([self._name])} has no value yet: it is text in this file and in later ones."
        return self._warning

    def feed(self, column: Any) -> None:
        before, self._rows = self._rows, self._rows + len(column)
        if self.is_text or column.null_count == len(column):
            return
        cells = (column.drop_null() if column.null_count else column).combine_chunks()
        still = [form for form in self._open if form.fits_all(cells)]
        if not still:
            self._refuse(cells, lambda place: before + pc.indices_nonzero(column.is_valid())[place].as_py() + 1)
        self._open, self._is_decided = still, True

    def _refuse(self, cells: Any, row_of: Callable[[int], int]) -> None:
        """Raise TypeMismatch if the column is pinned; else say why it becomes text."""
        fits = [form.fits_each(cells) for form in self._open]
        if self._is_pinned:
            place = pc.index(fits[0], value=False).as_py()
            raise self._mismatch(row_of(place), cells[place].as_py())
        self._become_text(cells, fits, row_of)

    def _mismatch(self, row: int, cell: str) -> TypeMismatch:
        (form,) = self._open
        pinned = f"Column {listed([self._name])} has the type {form.kind} in bridge.yaml"
        return TypeMismatch(f"{pinned}, but row {row} {why_no_value(form, cell)}.")

    def _become_text(self, cells: Any, fits: Sequence[Any], row_of: Callable[[int], int]) -> None:
        """Say why, if the column had another type, or has it in most of these cells."""
        most = max(fits, key=lambda each: each.true_count)
        if not self._is_decided and 2 * most.true_count < len(cells):
            return
        form, place = self._open[fits.index(most)], pc.index(most, value=False).as_py()
        because = f"row {row_of(place)} {why_not(form, cells[place].as_py())}"
        self._warning = f"Column {listed([self._name])} is not a {form.kind} but text: {because}."


def _kind_of(names: Sequence[str]) -> str:
    """Return the type of a column whose cells have these forms."""
    return names[0].partition(".")[0] if names else "text"
