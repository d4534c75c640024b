"""Hostile bodies are refused in bounded memory."""

import base64
import contextlib
import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.looker import webhook
from common.platform.errors import (
    BridgeError,
    DeliveryNotUsable,
    MalformedRequest,
    QueryFailed,
    RowsMalformed,
    StreamCut,
)
from common.tables.check import MOST_COLUMNS
from tests.support.payloads import MIB, attached, attached_zip, bomb, zipped

PROOF = settings(deadline=None, max_examples=150)

LARGEST_BODY_BYTES = 32 * MIB
REFUSALS = (MalformedRequest, DeliveryNotUsable, QueryFailed, RowsMalformed, StreamCut)


@contextlib.contextmanager
def memory_within(mebibytes: int) -> Iterator[None]:
    """Check the peak of the memory that is allocated in the block."""
    tracemalloc.start()
    try:
        yield
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < mebibytes * MIB


def refuse(body: bytes, *kinds: type[BridgeError], saying: str | None = None) -> None:
    with pytest.raises(kinds or REFUSALS, match=saying) as refused:
        webhook.read(body)
    assert len(refused.value.cause) < 1000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"other":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        attached('[{"a":' + "[" * 100_000 + "]" * 100_000 + "}]", "json"),
        attached('[{"a":' + '{"a":' * 1_000 + "1" + "}" * 1_000 + "}]", "json"),
    ],
    ids=["unclosed", "aside", "inline", "lists in a row", "objects in a row"],
)
def test_endless_nesting_is_refused(body: bytes) -> None:
    with memory_within(20):
        refuse(body, MalformedRequest, DeliveryNotUsable)


@pytest.mark.parametrize("announced", [0xFFFFFFFE, 300 * MIB])
def test_a_zip_of_ten_gigabytes_is_refused_by_its_declared_size(announced: int) -> None:
    body = attached_zip(bomb(10_000, announced))

    with memory_within(40):
        refuse(body, DeliveryNotUsable, saying="the maximum is")


def test_a_zip_with_a_false_declared_size_is_refused() -> None:
    body = attached_zip(bomb(10_000, announced=100 * MIB))

    with memory_within(40):
        refuse(body, MalformedRequest, RowsMalformed)


def test_a_zip_with_an_unusual_compression_ratio_is_refused() -> None:
    refuse(attached_zip(zipped(bytes(20 * MIB))), DeliveryNotUsable, saying="times as big")


def test_a_small_file_may_have_any_compression_ratio() -> None:
    content = b"a,b\n" + b"1,2\n" * 100_000

    assert b"".join(webhook.read(attached_zip(zipped(content))).csv_blocks()) == content


def test_a_zip_of_very_many_files_is_refused_before_they_are_listed() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(1_001):
            archive.writestr(f"{number}.csv", "a\n")
    # A directory entry of 46 bytes becomes an object of about 400 bytes.
    body = attached_zip(b"PK\1\2" + bytes(42) + (b"PK\1\2" + bytes(42)) * 400_000 + packed.getvalue())

    with memory_within(80):
        refuse(body, DeliveryNotUsable, saying="more than 1000 files")
    refuse(attached_zip(packed.getvalue()), DeliveryNotUsable, saying="more than 1000 files")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_with_unbounded_memory_is_refused(method: int) -> None:
    refuse(attached_zip(zipped(method=method)), DeliveryNotUsable, saying="uses a compression")


def test_an_encrypted_file_is_refused() -> None:
    packed = bytearray(zipped())
    packed[packed.rindex(b"PK\1\2") + 8] |= 1

    refuse(attached_zip(bytes(packed)), DeliveryNotUsable, saying="encrypted")


@pytest.mark.parametrize("name", ["a.exe", "a.csv.zip", "a", "../../etc/passwd"])
def test_a_file_other_than_csv_is_refused(name: str) -> None:
    refuse(attached_zip(zipped(b"a,b\n1,2\n", name)), DeliveryNotUsable, saying="not a CSV")


def test_a_file_name_is_not_used_as_a_path() -> None:
    delivery = webhook.read(attached_zip(zipped(b"a,b\n1,2\n", "../../../tmp/a.csv")))

    assert b"".join(delivery.csv_blocks()) == b"a,b\n1,2\n"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@PROOF
@given(data=st.data())
def test_a_damaged_zip_is_refused_or_yields_csv(method: int, data: st.DataObject) -> None:
    packed = bytearray(zipped(b"a,b\n" + b"1,2\n" * 50, method=method))
    for place in data.draw(st.lists(st.integers(0, len(packed) - 1), min_size=1, max_size=4)):
        packed[place] = data.draw(st.integers(0, 255))

    with contextlib.suppress(*REFUSALS):
        assert b"".join(webhook.read(attached_zip(bytes(packed))).csv_blocks()).endswith(b"\n")


@PROOF
@given(body=st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_any_bytes_are_refused(body: bytes) -> None:
    refuse(body)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(
    ["csv", "json", "zip", "text/csv", "text/csv;base64", "application/zip;base64", "a,b\n1,2", "[{"]
)


@PROOF
@given(
    payload=st.fixed_dictionaries(
        {},
        optional={
            "type": VALUES | WORDS,
            "data": VALUES,
            "scheduled_plan": VALUES
            | st.fixed_dictionaries({}, optional={"scheduled_plan_id": VALUES, "title": VALUES, "type": VALUES}),
            "attachment": VALUES
            | st.fixed_dictionaries(
                {}, optional={"extension": VALUES | WORDS, "mimetype": VALUES | WORDS, "data": VALUES | WORDS}
            ),
        },
    )
)
def test_any_json_is_refused_or_yields_csv(payload: object) -> None:
    with contextlib.suppress(*REFUSALS):
        delivery = webhook.read(json.dumps(payload).encode())
        assert b"".join(delivery.csv_blocks()).endswith(b"\n")


@pytest.mark.parametrize(
    "body",
    [
        b'{"attachment": {"extension": "csv", "data": "a,b\n1,\xff\n"}}',
        b'{"attachment": {"extension": "csv", "data": "a,b\\n1,\xff\\n"}}',
        b'{"attachment": {"extension": "csv", "data": "a,b\\n1,\xed\xa0\x80\\n"}}',
        b'{"attachment": {"extension": "csv", "data": "a,b\\n1,\\ud83d\\n"}}',
        b'{"attachment": {"extension": "csv", "data": "a,b\\n1,\xc3"}}',
        b'{"attachment": {"extension": "csv", "data": "a,b\\n"}, "scheduled_plan": {"title": "\xff"}}',
        b'{"data": [{"a": "\xff"}]}',
        b'{"data": [{"a": "\\ud83d"}]}',
        attached(base64.b64encode(b"a,b\n1,\xff\n").decode(), mimetype="text/csv;base64"),
        attached(base64.b64encode(b"a,b\n1,\xc3").decode(), mimetype="text/csv;base64"),
        attached_zip(zipped(b"a,b\n1,\xff\n")),
    ],
)
def test_bytes_that_are_not_utf_8_are_refused(body: bytes) -> None:
    refuse(body, MalformedRequest, DeliveryNotUsable)


@pytest.mark.parametrize("digits", ["YSxi!", "YSxiC", "YSxiCg=", "YSxiCg==YSxi", "=", "YSxé", "\ud83d\ude00"])
def test_invalid_base64_is_refused(digits: str) -> None:
    refuse(attached(digits, mimetype="text/csv;base64"), MalformedRequest)


@pytest.mark.parametrize(
    "body",
    [
        b'{"scheduled_plan": {"scheduled_plan_id": ' + b"9" * 1_000_000 + b'}, "data": [{"a": 1}]}',
        b'{"data": [{"a": ' + b"9" * 1_000_000 + b"}]}",
        b'{"data": [{"a": 0.' + b"9" * 1_000_000 + b"}]}",
        attached('[{"a": 1e' + "9" * 1_000_000 + "}]", "json"),
    ],
)
def test_a_number_of_a_million_digits_is_refused(body: bytes) -> None:
    with memory_within(20):
        refuse(body, MalformedRequest, DeliveryNotUsable)


def test_a_title_of_megabytes_is_refused() -> None:
    body = json.dumps({"scheduled_plan": {"title": "😀" * MIB}, "data": [{"a": 1}]}).encode()

    with memory_within(1):
        refuse(body, MalformedRequest, saying="longer than")


@pytest.mark.long
def test_a_million_columns_are_refused() -> None:
    names = [f"c{number}" for number in range(1_000_000)]
    bodies = [
        attached(",".join(names) + "\n"),
        attached("," * (LARGEST_BODY_BYTES - 1000) + "\n"),
        json.dumps({"data": [dict.fromkeys(names[: MOST_COLUMNS + 1], 1)]}).encode(),
        json.dumps({"data": [dict.fromkeys(names, 1)]}).encode(),
    ]

    for body in bodies:
        with memory_within(100):
            refuse(body, RowsMalformed, DeliveryNotUsable)
    assert webhook.read(attached(",".join(names[:MOST_COLUMNS]) + "\n"))


def test_a_row_of_many_duplicate_keys_is_refused() -> None:
    refuse(b'{"data": [{' + b",".join([b'"":0'] * 150_000) + b"}]}", DeliveryNotUsable, saying="more than once")


def test_short_lines_under_a_wide_header_are_refused_in_bounded_memory() -> None:
    body = attached("," * (MOST_COLUMNS - 1) + "\n" + "\n" * (20 * MIB // 2))

    with memory_within(60):
        refuse(body, RowsMalformed)


@pytest.mark.parametrize(
    "rows",
    [
        b"[" + b" " * (LARGEST_BODY_BYTES - 100) + b"]",
        b'[{"a":' + b" " * (LARGEST_BODY_BYTES - 100) + b"1}]",
        b"[" + b"0," * (LARGEST_BODY_BYTES // 2 - 100) + b"0]",
        b'[{"a":[' + b"0," * (LARGEST_BODY_BYTES // 2 - 100) + b"0]}]",
        b'[{"a":1}' + b",{}" * (LARGEST_BODY_BYTES // 3 - 100) + b"]",
        b'"' + b"[" * (LARGEST_BODY_BYTES - 100) + b'"',
    ],
    ids=["white space", "white space in a row", "numbers", "numbers in a row", "empty rows", "brackets"],
)
def test_the_largest_body_takes_bounded_memory(rows: bytes) -> None:
    body = b'{"data":' + rows + b"}"

    with memory_within(20):
        refuse(body, DeliveryNotUsable)


@pytest.mark.parametrize("character", ["😀", "é", "a", "\n", "\\"])
def test_text_that_decodes_to_four_times_its_size_takes_bounded_memory(character: str) -> None:
    whole = json.dumps(character, ensure_ascii=False)[1:-1].encode()
    cells = whole * (LARGEST_BODY_BYTES // len(whole) - 100)
    body = b'{"attachment": {"extension": "csv", "data": "a\\n' + cells + b'"}}'

    with memory_within(20):
        webhook.read(body)


def test_formulas_are_unchanged() -> None:
    content = "a,b\n=1+1,'-5\n@x,+1\n"

    assert b"".join(webhook.read(attached(content)).csv_blocks()).decode() == content
