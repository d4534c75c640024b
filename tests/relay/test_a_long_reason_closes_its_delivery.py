"""A reason quotes what vendors sent, however long and in any characters: it is shortened, its delivery closed."""

import json
from typing import Any

import pytest

from common.platform.text import listed, shorten
from local.sandbox.wire import Response
from tests.support.world import STATUS, FunctionAnswer, World

METADATA_BYTES = 8 * 1024
LOG_LINE_BYTES = 16 * 1024


def with_header(names: list[str]) -> bytes:
    """A delivery of one row with these columns."""
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    attachment = {
        "mimetype": "text/csv", "extension": "csv", "data": f"{header}\n{','.join('1' for _ in names)}\n",
    }  # fmt: skip
    plan = {"scheduled_plan_id": 7, "title": "Sales", "type": "Look"}
    return json.dumps({"type": "query", "scheduled_plan": plan, "attachment": attachment}).encode()


def refuse(world: World, names: list[str]) -> tuple[FunctionAnswer, dict[str, str]]:
    """Deliver columns that are not those of the contract, and return the metadata of the dead delivery."""
    world.add_relay("sales", target={"columns": [{"Id": "Id"}, {"Amount": "Amount"}]})
    world.post_delivery("sales", with_header(names))

    answer = world.run_deliver()

    assert (answer.status, answer.body["dead"], answer.body["waiting"]) == (200, 1, 0), answer.body
    assert (world.objects("inbox/"), world.objects("leases/")) == ([], [])
    (dead,) = world.bucket.entries("dead/")
    return answer, dead.metadata


@pytest.mark.parametrize("columns", [400, 10_000])
def test_a_header_of_many_columns_is_shortened(world: World, columns: int, caplog: pytest.LogCaptureFixture) -> None:
    names = ["Amount", *(f"A column with a rather long name, number {number}" for number in range(columns - 1))]

    _, metadata = refuse(world, names)

    assert sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) <= METADATA_BYTES
    assert metadata["code"] == "columns_changed"
    assert metadata["reason"].startswith("Looker's header does not match target.columns. Missing: Id. New: A column")
    assert f" and {columns - 11:,} more." in metadata["reason"]
    assert metadata["reason"].endswith(" more characters)")
    (receipt,) = world.receipts("sales")
    assert receipt["error"]["message"] == metadata["reason"]
    assert max(len(record.getMessage()) for record in caplog.records) < LOG_LINE_BYTES


def test_any_character_of_a_header_can_stand_in_a_reason(world: World) -> None:
    controls = "".join(map(chr, (*range(1, 10), *range(14, 32), 0x7F, 0x85, 0x9B, 0x2028)))
    names = ["Amount", "Ünïcödé ≠ ASCII", "🛫🧮", "two\nlines", f"control{controls}s", "\x1b[31mred\x1b[0m"]

    _, metadata = refuse(world, names)

    assert "Ünïcödé ≠ ASCII, 🛫🧮, two lines, control" in metadata["reason"]
    assert metadata["reason"].isprintable()


def test_a_long_reason_of_the_widest_characters_is_shortened_too(world: World) -> None:
    _, metadata = refuse(world, ["Amount", *("🛫" * 50 + str(number) for number in range(500))])

    assert "🛫🛫" in metadata["reason"]
    assert metadata["reason"].endswith(" more characters)")


def test_a_long_explanation_of_pigment_is_shortened(world: World) -> None:
    world.add_relay("sales")
    world.post_delivery("sales", with_header(["Id", "Amount"]))
    errors = [{"name": f"Error {number}", "description": "two rows share an id, " * 20} for number in range(100)]
    state = {"importStatus": "Failed", "errorsDetails": errors}
    world.pigment_server.fault(STATUS, refuse=Response.of_json(state))

    answer = world.run_deliver()

    assert (answer.body["dead"], world.objects("leases/")) == (1, [])
    (dead,) = world.bucket.entries("dead/")
    assert dead.metadata["reason"].startswith("Pigment's import failed. Error 0: two rows")
    assert dead.metadata["reason"].endswith(" more characters)")


def test_thousands_of_skip_reasons_are_summed(world: World) -> None:
    world.add_relay("sales", guards={"max_skipped": 10**9})
    world.post_delivery("sales", with_header(["Id", "Amount"]))
    skipped = [{"count": number, "reason": f"Reason {number}" * 100} for number in range(1, 5001)]
    summary = {"insertedCount": 1, "skippedCount": 0}
    report = {"blockType": "List", "summary": summary, "impactedBlocks": [{"skippedData": skipped}]}
    world.pigment_server.fault(STATUS, refuse=Response.of_json({"importStatus": "Completed", "detailedReport": report}))

    world.run_deliver()

    (receipt,) = world.receipts("sales")
    skips: list[dict[str, Any]] = receipt["skips"]
    assert [skip["count"] for skip in skips[:3]] == [5000, 4999, 4998]
    assert (len(skips), skips[-1]["reason"]) == (50, "4,951 other reasons")
    assert sum(skip["count"] for skip in skips) == receipt["rows"]["skipped"] == sum(range(1, 5001))
    assert max(len(skip["reason"]) for skip in skips) <= 200


def test_half_a_character_of_a_column_can_stand_in_a_reason(world: World) -> None:
    world.add_relay("sales")
    rows = json.dumps([{"a": 1}, {"a": 1, "\ud83d": 2}])
    plan = {"scheduled_plan_id": 7, "title": "Sales", "type": "Look"}
    attachment = {"mimetype": "application/json", "extension": "json", "data": rows}
    body = json.dumps({"type": "query", "scheduled_plan": plan, "attachment": attachment}).encode()

    refused = world.post_delivery("sales", body)

    assert (refused.status, refused.code) == (422, "delivery_not_usable")
    assert refused.error["message"] == "Row 2 adds ?, compared with the first row."


def test_all_values_together_fit_into_the_metadata_of_an_object(world: World) -> None:
    long = {"header": "🛫" * 5000, "reason": "a\nb" * 5000, "warnings": "ü" * 5000}

    world.bucket.create("tmp/object", b"", {"run": "20260301T061503-1f0c9a2b", **long}, content_type="text/csv")

    (stored,) = world.bucket.entries("tmp/")
    sizes = {key: len(key) + len(value.encode()) for key, value in stored.metadata.items()}
    assert METADATA_BYTES - 100 < sum(sizes.values()) <= METADATA_BYTES
    assert stored.metadata["run"] == "20260301T061503-1f0c9a2b"
    assert all(stored.metadata[key].endswith(" more characters)") for key in long)


@pytest.mark.parametrize("most_bytes", range(100, 108))
@pytest.mark.parametrize("character", ["x", "é", "≠", "🛫"])
def test_a_cut_text_has_whole_characters_and_says_how_many_are_left_out(character: str, most_bytes: int) -> None:
    shortened = shorten(character * 2000, most_bytes)

    kept, _, note = shortened.partition("…")
    assert 0 < len(kept) == kept.count(character)
    assert note == f" ({2000 - len(kept):,} more characters)"
    assert most_bytes - 20 <= len(shortened.encode()) <= most_bytes


def test_one_very_long_name_does_not_hide_the_others() -> None:
    assert listed(["Id", "x" * 5000, "Amount"]) == f"Id, {'x' * 60}, Amount"
    assert listed(["x" * 5000], become=["y" * 5000]) == f"{'x' * 60} to {'y' * 60}"
