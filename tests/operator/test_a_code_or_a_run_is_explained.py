"""`bridge explain` tells the cause, the next step and where to read more: of an error code, an outcome, or one run."""

import json
import shutil
import typing
from typing import Any, Final

import msgspec
import pytest

from common.platform.errors import code_of, every_error
from common.runs.leases import Journal
from common.runs.receipts import Outcome, Receipt
from common.storage import paths
from local import explanations
from local.open_runs import OpenState
from local.sandbox.wire import Response
from tests.support import documents
from tests.support.command_line import run, run_deployed
from tests.support.documents import REFERENCE, ROOT
from tests.support.read_back import fill_list, read_back
from tests.support.settling import expire_leases
from tests.support.world import PULL_RUN, PUSH, ROWS, STORAGE_WRITES, World, delivery

REASON: Final = "MissingModalitySkippedDataRow"
CODES = [code_of(kind) for kind in every_error()]
OUTCOMES = sorted({*typing.get_args(Outcome), *typing.get_args(OpenState)})


def explained(what: str) -> dict[str, Any]:
    answer = run_deployed("explain", what, "--json")
    assert answer.status == 0, answer.errors
    told: dict[str, Any] = json.loads(answer.output)
    return told


def shown(what: str) -> str:
    """What a person reads, without the breaks of lines."""
    answer = run_deployed("explain", what)
    assert answer.status == 0, answer.errors
    return " ".join(answer.output.split())


@pytest.mark.parametrize("word", [*CODES, *OUTCOMES])
def test_each_code_and_each_outcome_has_a_meaning_a_next_step_and_a_place_in_the_documents(word: str) -> None:
    told = explanations.of_word(word)

    document, _, anchor = told.documentation.partition("#")
    assert ROOT / document in REFERENCE
    assert not anchor or anchor in documents.anchors(ROOT / document)
    assert all(text and text == " ".join(text.split()) for text in (told.meaning, told.next_step))


def test_the_documentation_is_told_only_of_codes_that_exist_and_once() -> None:
    told = [code for codes in explanations.SECTIONS.values() for code in codes]

    assert len(set(told)) == len(told)
    assert set(told) <= set(CODES)


def test_a_run_whose_block_cannot_be_compared_asks_for_a_correction(world: World) -> None:
    block = fill_list(world)
    read_back(world, block, {"columns": {"Flights Delay": "Minutes"}})

    told = shown(world.run_pull("flights").body["run"])

    assert "The block cannot be compared with what was sent." in told
    assert (
        "→ Correct `verify` of the job in bridge.yaml as the warning says. `bridge verify flights` then compares."
        in told
    )


def test_a_code_is_explained_without_any_bridge(world: World) -> None:
    answer = run(world, "explain", "Landing-Unknown")

    assert (answer.status, answer.errors) == (0, "")
    assert "Pigment may have accepted the file" in answer.output
    assert "→ `bridge settle RUN` asks Pigment" in answer.output
    assert "See functions/README.md#how-the-guarantees-hold" in answer.output
    assert not (world.folder / "home").exists()


def test_a_code_with_two_next_steps_is_explained_for_both_bridges(world: World) -> None:
    told = run(world, "explain", "storage_refused").output

    here, there = told.split("For one in the cloud:")
    assert "For a bridge on this machine:" in here
    assert "check that the folder (--state) is yours" in " ".join(here.split())
    assert "this function's service account" in " ".join(there.split())


def test_a_code_with_one_next_step_shows_it_once(world: World) -> None:
    assert run(world, "explain", "look_not_found").output.count("→") == 1


def test_a_person_at_a_bridge_in_the_cloud_sees_only_its_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_BUCKET", "acme-bridge")
    monkeypatch.delenv("BRIDGE_EMULATOR_TOKEN", raising=False)

    told = explanations.of_word("storage_refused").text()

    assert "this machine" not in told
    assert "this function's service account" in told


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("landing_unknwn", "Did you mean landing_unknown?"),
        ("hold", "Did you mean held?"),
        ("xyz", "→ `bridge errors` lists the error codes"),
    ],
)
def test_a_word_that_is_neither_is_an_error_with_the_nearest_one(world: World, word: str, words: str) -> None:
    answer = run(world, "explain", word)

    assert (answer.status, answer.output) == (1, "")
    assert words in answer.errors


@pytest.mark.usefixtures("world")
def test_a_run_that_does_not_exist_is_an_error() -> None:
    answer = run_deployed("explain", "20260301T061500-00000000")

    assert (answer.status, answer.output) == (1, "")
    assert "`bridge runs` shows the ids of runs." in answer.errors


def test_explaining_creates_no_bridge(world: World) -> None:
    shutil.rmtree(world.folder / "home", ignore_errors=True)

    answer = run(world, "explain", "20260301T061500-00000000")

    assert "There is no bridge in the folder home." in answer.errors
    assert not (world.folder / "home").exists()


def test_a_landing_is_told_from_its_beginning_to_its_end(world: World) -> None:
    run_id = world.run_pull("flights").receipt["run"]

    told = explained(run_id)

    assert (told["run"], told["job"], told["outcome"], told["code"]) == (run_id, "flights", "landed", None)
    assert told["story"][0].startswith("The pull flights began at 2026-03-01 06:15:")
    assert told["story"][1:] == [
        "It read 5 rows from Looker.",
        "It sent 5 rows to Pigment.",
        "Pigment counted 5 inserted, 0 updated, 0 deleted, 0 skipped.",
        "Pigment has imported the rows, and reports none that it left out.",
    ]
    assert told["next_step"] == "No action needed."


def test_skipped_rows_are_told_with_their_reason_and_column(world: World) -> None:
    world.pigment.skip_next(world.raw["pulls"]["flights"]["target"]["configuration"], 2, REASON, "Flights Carrier")
    run_id = world.run_pull("flights").receipt["run"]

    told = explained(run_id)

    assert (
        "Not imported: 2 rows for the reason MissingModalitySkippedDataRow in the column Flights Carrier."
        in told["story"]
    )
    assert told["code"] == "too_many_skipped"
    assert told["next_step"].startswith("The receipt lists reasons and columns.")


def test_a_refused_file_is_told_to_have_sent_nothing(world: World) -> None:
    world.add_pull("flights", guards={"min_rows": 6})
    run_id = world.run_pull("flights").receipt["run"]

    words = shown(run_id)

    assert words.startswith(f"refused: run {run_id} of flights ")
    assert "It read 5 rows from Looker. It sent nothing to Pigment." in words
    assert "→ Open the Look or view." in words


def test_a_failure_before_the_rows_says_so(world: World) -> None:
    world.looker_server.fault(PULL_RUN, times=-1, refuse=Response(404))
    told = explained(world.run_pull("flights").receipt["run"])

    assert "It did not finish reading from Looker." in told["story"]
    assert told["outcome"] == "failed"


def test_an_unknown_landing_says_what_pigment_may_have_and_gives_the_commands_to_copy(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    run_id = world.run_pull("flights").receipt["run"]

    told = explained(run_id)

    assert (told["outcome"], told["code"]) == ("unknown", "landing_unknown")
    assert "Pigment may have 5 rows of it." in told["story"]
    assert f"`bridge settle {run_id} --landed`" in told["next_step"]
    assert " RUN" not in told["next_step"]


def test_the_name_of_the_job_stands_in_the_commands_too(world: World) -> None:
    world.add_pull("flights", load={"changes": {"key": ["Flights Carrier"]}}, target={"repeatable": True})
    told = explained(world.run_pull("flights").receipt["run"])

    assert (told["code"], told["documentation"]) == ("keys_not_unique", "functions/docs/pull.md#changes")
    assert told["next_step"].startswith("`bridge pull flights --preview` shows some of them.")


def test_a_run_in_progress_is_told_as_far_as_it_came(world: World) -> None:
    seen: list[dict[str, Any]] = []

    def look() -> None:
        (open_run,) = json.loads(run_deployed("runs", "--json").output)
        seen.append(explained(open_run["run"]))

    world.looker_server.fault(PULL_RUN, act=look)
    world.run_pull("flights")

    (told,) = seen
    assert told["outcome"] == "running"
    assert told["story"][-2:] == ["It is in progress.", "It is reading rows."]
    assert told["next_step"] == "Wait until it has ended."


def test_a_killed_run_says_that_the_next_one_settles_it(world: World) -> None:
    world.storage_server.fault(STORAGE_WRITES, times=-1, after=5, refuse=Response(403, b"{}"))
    run_id = world.run_pull("flights").receipt["run"]
    world.heal()
    world.bucket.delete(f"receipts/flights/2026-03-01/{run_id}.json")
    expire_leases(world)

    told = explained(run_id)

    assert told["outcome"] in ("interrupted", "importing")
    assert "the next run" in told["next_step"]


def test_a_run_that_was_killed_after_its_receipt_is_told_by_it(world: World) -> None:
    receipt = world.run_pull("flights").receipt
    begun = msgspec.convert({**receipt, "outcome": "failed"}, Receipt)
    journal = Journal("importing", begun, repeatable=False, max_skipped=0, lifetime_s=0)
    world.bucket.write_json(paths.lease(receipt["configuration"]), journal, over=None)

    assert explained(receipt["run"])["outcome"] == "landed"


def test_a_held_run_names_the_commands_that_decide(world: World) -> None:
    world.add_pull("flights", target={"repeatable": True}, guards={"approve": {"max_changed": "30%"}})
    world.run_pull("flights")
    world.clock.advance(60)
    world.put_flights(ROWS[:2])
    run_id = world.run_pull("flights").receipt["run"]

    told = explained(run_id)

    assert (told["outcome"], told["documentation"]) == ("held", "functions/docs/pull.md#approval")
    assert f"`bridge approve {run_id}`" in told["next_step"]


def test_an_export_is_told_by_its_object(world: World) -> None:
    world.add_export()
    world.answer_exports(b"Id;Amount\n1;5\n")
    published = explained(world.run_export("revenue").receipt["run"])
    world.clock.advance(60)
    world.answer_exports(b"Id;Amount\n")
    refused = explained(world.run_export("revenue").receipt["run"])

    assert published["story"][1:3] == [
        "It read 1 row from Pigment.",
        "It published the object gs://bucket/exports/revenue.csv.",
    ]
    assert "It published nothing; an earlier object of this name is unchanged." in refused["story"]


def test_a_delivery_is_told_as_one(world: World) -> None:
    world.add_relay("sales")
    world.post_delivery("sales", delivery(("1", "5")))
    world.run_deliver()

    (receipt,) = world.receipts("sales")

    assert "It read 1 row from the webhook delivery." in explained(receipt["run"])["story"]


def test_no_value_of_a_row_is_told_although_its_receipt_has_some(world: World) -> None:
    world.add_pull("flights", guards={"max_skipped": 0, "samples": 5})
    world.put_flights([["2013-01-01", f"Zebra Air {number}", "EWR", "2"] for number in range(3)])
    world.pigment.skip_next(world.raw["pulls"]["flights"]["target"]["configuration"], 2, REASON, "Flights Carrier")
    receipt = world.run_pull("flights").receipt

    assert "Zebra" in json.dumps(receipt)
    assert "Zebra" not in json.dumps(explained(receipt["run"]))


def test_a_dead_delivery_is_explained_with_the_command_that_runs_it_again(world: World) -> None:
    world.add_relay("sales", guards={"min_rows": 2})
    world.post_delivery("sales", delivery(("1", "5")))
    world.run_deliver()
    (dead,) = world.objects("dead/")
    command = f"`bridge deliveries replay {dead.removeprefix('dead/')}`"
    (receipt,) = world.receipts("sales")

    assert command in shown(receipt["run"])
    (listed,) = json.loads(run_deployed("deliveries", "--json").output)
    assert command in listed["details"]["next-step"]


def test_a_delivery_that_waits_is_not_told_to_be_replayed(world: World) -> None:
    world.add_relay("sales")
    world.pigment_server.fault(PUSH, refuse=Response(401))
    world.post_delivery("sales", delivery(("1", "5")))
    world.run_deliver()
    (receipt,) = world.receipts("sales")

    assert "replay" not in shown(receipt["run"])
