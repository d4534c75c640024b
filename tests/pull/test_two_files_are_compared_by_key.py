"""The new and changed rows of two files are found by key and copied byte for byte; Python's dicts are the reference."""

import csv
import hashlib
import io
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.platform.errors import ColumnsChanged, StorageBusy, StorageRefused
from common.storage.bucket import Bucket
from common.tables import compare
from common.tables.check import Checked
from common.tables.compare import BadKeys, ChangeCounts, FileComparison, digests, matching
from common.tables.compare.diff import ChangedCell, ChangedRow
from common.tables.staging import Sample, Staged
from tests.support import storage_client
from tests.support.pieces import InPieces

PROOF = settings(deadline=None, max_examples=25)

TableRows = list[list[str]]

CELLS = st.lists(st.sampled_from(["", "1", "a", '"', ",", ";", "\n", "\r\n", "é", "\ufeff", "'"]), max_size=2).map(
    "".join
)
KEYS = CELLS.filter(bool)
FLIGHTS = ["Id", "Carrier", "Delay"]
BEFORE = [FLIGHTS, ["1", "UA", "2"], ["2", "B6", "-18"], ["3", "AA", ""]]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with storage_client.running(tmp_path_factory.mktemp("storage")) as storage:
        yield Bucket("bucket", storage.client)


class Written(msgspec.Struct, frozen=True):
    """The CSV format of a file, which does not change its cells."""

    delimiter: str = ","
    line_end: str = "\n"
    is_quoted: bool = False

    def records(self, table: TableRows) -> list[bytes]:
        return [self._record(row) for row in table]

    def _record(self, row: Sequence[str]) -> bytes:
        out = io.StringIO(newline="")
        with_quotes = self.is_quoted or "\r" in "".join(row)
        csv.writer(
            out,
            delimiter=self.delimiter,
            lineterminator=self.line_end,
            quoting=csv.QUOTE_ALL if with_quotes else csv.QUOTE_MINIMAL,
        ).writerow(row)
        return out.getvalue().encode()

    def file(self, table: TableRows) -> bytes:
        return b"".join(self.records(table))


@st.composite
def two_files(draw: st.DrawFn) -> tuple[TableRows, TableRows, list[str]]:
    """Draw two files with the same header, and the columns of their key, without bad keys."""
    header = draw(
        st.lists(KEYS.filter(lambda name: not name.startswith("\ufeff")), min_size=1, max_size=4, unique=True)
    )
    key = draw(st.lists(st.sampled_from(header), min_size=1, max_size=2, unique=True))

    def rows() -> st.SearchStrategy[TableRows]:
        row = st.tuples(*(KEYS if name in key else CELLS for name in header)).map(list)
        return st.lists(row, max_size=8, unique_by=lambda row: tuple(row[header.index(name)] for name in key))

    return [header, *draw(rows())], [header, *draw(rows())], key


HOW_WRITTEN = st.builds(Written, st.just(","), st.sampled_from(["\n", "\r\n"]), st.booleans())


def ignore(_what: str, _count: int) -> None:
    pass


def compared(
    bucket: Bucket, before: bytes | None, after: bytes, key: Sequence[str], rows: int, **how: Any
) -> FileComparison | BadKeys:
    """Write two files into the bucket, and compare them."""
    number = len(list(bucket.names("bases/")))
    paths = f"bases/{number:03}-a", f"bases/{number:03}-b"
    for path, content in zip(paths, (before, after), strict=True):
        if content is not None:
            bucket.create(path, content, {}, content_type="text/csv")
    return compare.compare(bucket, None if before is None else paths[0], paths[1], key, ",", rows, ignore, **how)


def newest(bucket: Bucket) -> str:
    """Return the path of the file that was compared last."""
    return list(bucket.names("bases/"))[-1]


def found(bucket: Bucket, before: TableRows | None, after: TableRows, *key: str, samples: int = 0) -> FileComparison:
    old = None if before is None else Written().file(before)
    comparison = compared(bucket, old, Written().file(after), key or ["Id"], len(after) - 1, samples=samples)
    assert isinstance(comparison, FileComparison)
    return comparison


def bad(bucket: Bucket, after: TableRows, *key: str, samples: int = 0) -> BadKeys:
    found = compared(bucket, None, Written().file(after), key or ["Id"], len(after) - 1, samples=samples)
    assert isinstance(found, BadKeys)
    return found


def expected(before: TableRows, after: TableRows, key: Sequence[str]) -> tuple[ChangeCounts, list[int]]:
    """Compare with dicts; return the counts, and the numbers of the rows to send."""
    places = [after[0].index(name) for name in key]
    was = {tuple(row[place] for place in places): row for row in before[1:]}
    now = {tuple(row[place] for place in places): row for row in after[1:]}
    added = [key for key in now if key not in was]
    changed = [key for key in now if key in was and was[key] != now[key]]
    gone = [key for key in was if key not in now]
    sent = [number for number, key in enumerate(now) if key in {*added, *changed}]
    return ChangeCounts(len(added), len(changed), len(gone), len(now) - len(sent)), sent


@pytest.mark.long
@PROOF
@given(two_files(), HOW_WRITTEN, HOW_WRITTEN, st.sampled_from([",", ";"]), st.integers(1, 40), st.booleans())
@example(([["k"], ["\ufeff"], ["a\n\nb"]], [["k"], ["\ufeff"], ["c"]], ["k"]), Written(), Written(), ",", 1, False)
def test_the_rows_sent_equal_a_comparison_of_dicts(
    files: tuple[TableRows, TableRows, list[str]],
    was_written: Written,
    is_written: Written,
    delimiter: str,
    block_bytes: int,
    in_shares: bool,
) -> None:
    before, after, key = files
    was_written, is_written = (msgspec.structs.replace(each, delimiter=delimiter) for each in (was_written, is_written))
    bucket: Any = InPieces(block_bytes, before=was_written.file(before), after=is_written.file(after))
    with pytest.MonkeyPatch.context() as patch:
        if in_shares:
            patch.setattr(matching, "ROWS_AT_ONCE", 6)
            patch.setattr(digests, "_MATCHED_AT_ONCE", 2)
        comparison = compare.compare(bucket, "before", "after", key, delimiter, len(after) - 1, ignore)

    assert isinstance(comparison, FileComparison)
    counts, sent = expected(before, after, key)
    assert comparison.counts == counts
    staged = compare.write_delta(bucket, "after", comparison, "delta", delimiter, ignore)
    records = is_written.records(after)
    assert bucket.files["delta"] == b"".join([records[0], *(records[1 + place] for place in sent)])
    assert staged.checked.rows == len(sent)


def test_a_row_is_found_in_any_position_and_quoting(bucket: Bucket) -> None:
    after = b'"Id","Carrier","Delay"\r\n3,AA,\r\n"2","B6","-18"\r\n1,UA,"2"\r\n'

    comparison = compared(bucket, Written().file(BEFORE), after, ["Id"], 3)

    assert isinstance(comparison, FileComparison)
    assert comparison.counts == ChangeCounts(added=0, changed=0, gone=0, unchanged=3)
    assert comparison.is_sent == bytearray(3)


def test_new_changed_gone_and_unchanged_rows_are_distinguished(bucket: Bucket) -> None:
    comparison = found(bucket, BEFORE, [FLIGHTS, ["4", "DL", "7"], ["1", "UA", "2"], ["2", "B6", "0"]])

    assert comparison.counts == ChangeCounts(added=1, changed=1, gone=1, unchanged=1)
    assert comparison.is_sent == bytearray([1, 0, 1])
    assert comparison.warnings == []


def test_without_a_previous_file_every_row_is_new(bucket: Bucket) -> None:
    comparison = found(bucket, None, BEFORE)

    assert comparison.counts == ChangeCounts(added=3, changed=0, gone=0, unchanged=0)
    assert comparison.is_sent == bytearray([1, 1, 1])


def test_an_empty_file_has_only_gone_rows(bucket: Bucket) -> None:
    assert found(bucket, BEFORE, [FLIGHTS]).counts == ChangeCounts(added=0, changed=0, gone=3, unchanged=0)


def test_cells_that_join_to_the_same_text_are_a_change(bucket: Bucket) -> None:
    before, after = [["Id", "a", "b"], ["1", "xy", "z"]], [["Id", "a", "b"], ["1", "x", "yz"]]

    assert found(bucket, before, after).counts.changed == 1
    assert found(bucket, [["Id", "a"], ["12", "3"]], [["Id", "a"], ["1", "23"]], "Id", "a").counts.added == 1


def test_reordered_columns_are_not_a_change(bucket: Bucket) -> None:
    after = [["Delay", "Id", "Carrier"], ["2", "1", "UA"], ["-18", "2", "B6"], ["0", "3", "AA"]]

    comparison = found(bucket, BEFORE, after)

    assert comparison.counts == ChangeCounts(added=0, changed=1, gone=0, unchanged=2)
    assert comparison.warnings == []


def test_columns_of_one_name_are_distinguished_by_their_order(bucket: Bucket) -> None:
    before = [["Id", "Note", "Note"], ["1", "a", "b"], ["2", "c", "d"]]
    after = [["Note", "Id", "Note"], ["a", "1", "b"], ["d", "2", "c"]]

    assert found(bucket, before, after).counts == ChangeCounts(added=0, changed=1, gone=0, unchanged=1)


def test_another_set_of_columns_changes_every_row(bucket: Bucket) -> None:
    after = [["Id", "Carrier", "Late"], ["1", "UA", "2"], ["4", "B6", "-18"]]

    comparison = found(bucket, BEFORE, after)

    assert comparison.counts == ChangeCounts(added=1, changed=1, gone=2, unchanged=0)
    assert comparison.is_sent == bytearray([1, 1])
    (warning,) = comparison.warnings
    assert "every row counts as changed. Renamed: Delay to Late." in warning


def test_a_previous_file_without_the_key_makes_every_row_new(bucket: Bucket) -> None:
    after = [["Number", "Carrier", "Delay"], ["1", "UA", "2"]]

    comparison = found(bucket, BEFORE, after, "Number")

    assert comparison.counts == ChangeCounts(added=1, changed=0, gone=0, unchanged=0)
    assert "every row counts as new" in comparison.warnings[0]


def test_a_row_whose_key_was_duplicated_before_is_sent(bucket: Bucket) -> None:
    before = [["Id", "Leg"], ["1", "a"], ["1", "b"], ["2", "a"]]

    comparison = found(bucket, before, [["Id", "Leg"], ["1", "a"], ["2", "a"]])

    assert comparison.counts == ChangeCounts(added=0, changed=1, gone=0, unchanged=1)


def test_a_row_duplicated_before_is_sent_even_if_unchanged(bucket: Bucket) -> None:
    before = [["Id", "Leg"], ["1", "a"], ["1", "a"]]

    assert found(bucket, before, [["Id", "Leg"], ["1", "a"]]).counts.changed == 1


def test_empty_and_duplicate_keys_are_counted_without_their_content(bucket: Bucket) -> None:
    after = [
        FLIGHTS,
        ["", "UA", "2"],
        ["secret", "B6", "1"],
        ["secret", "B6", "1"],
        ["secret", "AA", ""],
        ["5", "", ""],
    ]

    found = bad(bucket, after)

    assert (found.empty_rows, found.repeated_keys, found.repeated_rows) == (1, 1, 3)
    error = found.refusal()
    assert error.code == "keys_not_unique"
    assert "1 rows have an empty key; 1 keys occur more than once, in 3 rows" in error.cause
    assert "secret" not in str(error)
    assert found.diff is msgspec.UNSET


def test_a_key_of_several_columns_is_empty_if_one_of_them_is(bucket: Bucket) -> None:
    after = [FLIGHTS, ["1", "UA", ""], ["1", "B6", ""], ["2", "", "5"]]

    assert bad(bucket, after, "Id", "Carrier").empty_rows == 1
    assert found(bucket, None, after[:3], "Id", "Carrier").counts.added == 2


def test_an_empty_line_of_a_single_column_is_a_row_with_an_empty_key(bucket: Bucket) -> None:
    found = compared(bucket, None, b"Id\n1\n\n2\n", ["Id"], 3, samples=1)

    assert isinstance(found, BadKeys)
    assert found.empty_rows == 1
    assert not isinstance(found.diff, msgspec.UnsetType)
    assert found.diff.bad_keys == [[""]]


def test_bad_keys_are_found_in_every_share(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "ROWS_AT_ONCE", 5)
    after = [["Id"], *([str(number // 2)] for number in range(20)), [""], [""]]

    found = bad(bucket, after, samples=3)

    assert (found.empty_rows, found.repeated_keys, found.repeated_rows) == (2, 10, 20)
    assert not isinstance(found.diff, msgspec.UnsetType)
    assert found.diff.bad_keys == [[""], [""], ["0"], ["1"], ["2"]]


def test_a_preview_shows_the_first_rows_of_each_kind_of_change(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "ROWS_AT_ONCE", 4)
    monkeypatch.setattr(digests, "_MATCHED_AT_ONCE", 2)
    before = [FLIGHTS, *([str(number), "UA", "0"] for number in range(10))]
    after = [
        ["Carrier", "Id", "Delay"],
        ["UA", "0", "0"],
        ["DL", "5", "0"],
        ['Delta, "D"', "4", "7\n8"],
        ["UA", "1", "1"],
        *(["AA", str(number), "3"] for number in (12, 11, 13)),
    ]

    diff = found(bucket, before, after, samples=2).diff

    assert not isinstance(diff, msgspec.UnsetType)
    assert diff.key == ["Id"]
    assert diff.header == ["Carrier", "Id", "Delay"]
    assert diff.changed_rows == [
        ChangedRow(["5"], [ChangedCell("Carrier", "UA", "DL")]),
        ChangedRow(["4"], [ChangedCell("Carrier", "UA", 'Delta, "D"'), ChangedCell("Delay", "0", "7\n8")]),
    ]
    assert diff.new_rows == [["AA", "12", "3"], ["AA", "11", "3"]]
    assert diff.gone_keys == [["2"], ["3"]]
    assert diff.bad_keys == []


def test_a_preview_shows_the_values_of_a_removed_column(bucket: Bucket) -> None:
    diff = found(bucket, BEFORE, [["Id", "Carrier", "Late"], ["1", "UA", "9"]], samples=5).diff

    assert not isinstance(diff, msgspec.UnsetType)
    assert diff.changed_rows == [ChangedRow(["1"], [ChangedCell("Late", "", "9"), ChangedCell("Delay", "2", "")])]


@pytest.mark.long
def test_large_files_are_compared_over_the_wire(bucket: Bucket) -> None:
    rows = [
        [str(number), f"row {number},\n{'.' * 90}", "x" if number % 8 else 'a "quoted" text']
        for number in range(90_000)
    ]
    after = [[*row[:2], "new"] if number % 1000 == 0 else row for number, row in enumerate(rows)]

    comparison = found(bucket, [FLIGHTS, *rows], [FLIGHTS, *reversed(after)])

    assert comparison.counts == ChangeCounts(added=0, changed=90, gone=0, unchanged=89_910)
    staged = compare.write_delta(bucket, newest(bucket), comparison, "staged/flights/run.csv", ",", ignore)
    assert list(csv.reader(io.StringIO(bucket.read(staged.path).decode(), newline=""))) == [
        FLIGHTS,
        *(row for row in reversed(after) if row[2] == "new"),
    ]


def test_the_written_file_has_its_digest(bucket: Bucket) -> None:
    comparison = found(bucket, None, BEFORE)
    comparison.is_sent[1] = 0

    staged = compare.write_delta(bucket, newest(bucket), comparison, "staged/digest.csv", ",", ignore)

    content = b"Id,Carrier,Delay\n1,UA,2\n3,AA,\n"
    assert bucket.read("staged/digest.csv") == content
    checked = Checked(FLIGHTS, 2, [])
    sample = Sample(FLIGHTS, [["1", "UA", "2"], ["3", "AA", ""]])
    assert staged == Staged(
        "staged/digest.csv", hashlib.sha256(content).hexdigest(), len(content), checked, sample, content
    )


@pytest.mark.parametrize(
    "content",
    [b"Id,Carrier\n1,secret\n2,secret", b"Id,Carrier\n1,secret\n2,sec,ret\n", b"Id,Carrier\n1,secret\n", b""],
    ids=["cut", "of another width", "short of a row", "empty"],
)
def test_a_file_other_than_the_checked_one_is_refused(bucket: Bucket, content: bytes) -> None:
    with pytest.raises(StorageRefused) as refused:
        compared(bucket, None, content, ["Id"], 2)

    assert "is not the one that was checked" in refused.value.cause
    assert "secret" not in f"{refused.value!r}{refused.value.__cause__!r}"


def test_a_truncated_previous_file_is_refused(bucket: Bucket) -> None:
    with pytest.raises(StorageRefused):
        compared(bucket, b"Id,Carrier\n1,UA\n2,B", b"Id,Carrier\n1,UA\n", ["Id"], 1)


def test_a_file_with_another_number_of_rows_is_not_copied_from(bucket: Bucket) -> None:
    comparison = found(bucket, None, BEFORE)
    longer = msgspec.structs.replace(comparison, is_sent=bytearray(4))

    with pytest.raises(StorageRefused):
        compare.write_delta(bucket, newest(bucket), longer, "staged/never", ",", ignore)

    assert not bucket.exists("staged/never")


@pytest.mark.parametrize("reason", [StorageBusy("Cloud Storage answered 503."), KeyboardInterrupt()])
def test_what_ends_the_reading_of_a_file_ends_the_comparison(bucket: Bucket, reason: BaseException) -> None:
    found(bucket, None, [FLIGHTS, *([str(number), "UA", "1"] for number in range(200_000))])

    def stop(_: str, rows: int) -> None:
        if rows:
            raise reason

    with pytest.raises(type(reason)) as ended:
        compare.compare(bucket, None, newest(bucket), ["Id"], ",", 200_000, stop)

    assert ended.value is reason


def test_a_missing_base_is_refused(bucket: Bucket) -> None:
    found(bucket, None, BEFORE)

    with pytest.raises(StorageRefused):
        compare.compare(bucket, "bases/nowhere", newest(bucket), ["Id"], ",", 3, ignore)


@pytest.mark.parametrize("header", ["Number,Carrier", "Id,Id"])
def test_a_key_missing_or_duplicated_in_the_header_is_refused(bucket: Bucket, header: str) -> None:
    with pytest.raises(ColumnsChanged) as refused:
        compared(bucket, None, f"{header}\n1,UA\n".encode(), ["Id"], 1)

    assert header.replace(",", ", ") in refused.value.cause


def test_a_key_uses_pigments_names_where_columns_are_renamed() -> None:
    columns = {"Flights Day": "Day", "Flights Id": "Code"}

    assert compare.key_in_file(["Flights Id"], columns) == ["Code"]
    assert compare.key_in_file(["Flights Id"], {}) == ["Flights Id"]


def test_duckdb_and_arrow_are_imported_by_a_comparison_alone() -> None:
    functions = Path(compare.__file__).parents[3]
    program = (
        "import sys, looker_pull, common.loads.changes; sys.exit(bool({'duckdb', 'pyarrow'} & sys.modules.keys()))"
    )

    assert subprocess.run([sys.executable, "-c", program], cwd=functions, check=False).returncode == 0


@pytest.mark.long
@PROOF
@given(two_files(), st.lists(st.integers(0, 7), max_size=4), HOW_WRITTEN, st.sampled_from([1, -1]), st.booleans())
def test_rows_that_both_files_have_are_counted_without_a_key(
    files: tuple[TableRows, TableRows, list[str]],
    repeated: list[int],
    written: Written,
    direction: int,
    in_shares: bool,
) -> None:
    before, after, _ = files
    after = [*after, *(row for place in repeated for row in [*before[1:], *after[1:]][place : place + 1])]
    # The columns may have another order.
    after_file = written.file([row[::direction] for row in after])
    bucket: Any = InPieces(7, before=Written().file(before), after=after_file)
    with pytest.MonkeyPatch.context() as patch:
        if in_shares:
            patch.setattr(matching, "ROWS_AT_ONCE", 6)
            patch.setattr(digests, "_MATCHED_AT_ONCE", 2)
        kept = compare.count_kept(bucket, "before", "after", ",", len(before) + len(after) - 2, ignore)

    was, now = (Counter(map(tuple, table[1:])) for table in (before, after))
    assert kept == (was & now).total()


def test_rows_under_another_header_are_no_rows_that_both_files_have(bucket: Bucket) -> None:
    compared(bucket, Written().file(BEFORE), Written().file([["Id", "Carrier", "Late"], *BEFORE[1:]]), ["Id"], 3)
    before, after = list(bucket.names("bases/"))[-2:]

    assert compare.count_kept(bucket, before, after, ",", 6, ignore) == 0
