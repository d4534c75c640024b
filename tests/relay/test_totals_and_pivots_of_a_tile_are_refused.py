"""A dashboard describes no query: the file of its tile shows totals and pivots, which are refused by name."""

import pytest

from common.looker import webhook
from common.platform.errors import DeliveryNotUsable
from common.platform.http import BLOCK_BYTES
from tests.support.payloads import attached_zip, zipped
from tests.support.world import World

NUMBERED = ",Carrier,Revenue\n1,UA,5\n2,AA,7\n"
TOTALS = NUMBERED + ",,12\n"
PIVOTED = ",,2025,2026\n,Carrier,Revenue,Revenue\n1,UA,5,6\n"
LONG = ",Carrier\n" + "".join(f'{number},"{"x" * 200}\n,"\n' for number in range(1, 3 * BLOCK_BYTES // 200))


def refusal_of(content: str) -> DeliveryNotUsable:
    with pytest.raises(DeliveryNotUsable) as refused:
        webhook.read(attached_zip(zipped(content.encode())))
    return refused.value


@pytest.mark.parametrize(
    "content",
    [TOTALS, TOTALS[:-1], TOTALS.replace(",,12", '"","",12'), NUMBERED + ',"Total",12\n', TOTALS + "3,DL,1\n"],
)
def test_a_totals_row_is_refused_by_name(content: str) -> None:
    refusal = refusal_of(content)

    assert refusal.cause == "The tile has a totals row after row 2, which would land as data."
    assert "save the tile as a Look without it" in refusal.next_step


def test_a_second_header_line_is_refused_by_name() -> None:
    assert (
        refusal_of(PIVOTED).cause == "The tile has a second header line, as pivots have it, which would land as data."
    )


def test_a_totals_row_after_many_rows_is_found() -> None:
    assert f"after row {LONG.count(chr(10)) // 2}," in refusal_of(LONG + ",\n").cause


@pytest.mark.parametrize(
    "content",
    [
        NUMBERED,
        ",Carrier\n",
        '1,"a\n,b"\n',
        "Carrier,Revenue\nUA,5\n,12\n",
        LONG,
        ',Text\n1,"two\n,lines"\n2,"a ""quoted"" line\n,"\n',
    ],
    ids=["numbered", "no rows", "header only", "no numbers", "long", "line ends in cells"],
)
def test_any_other_tile_is_unchanged(content: str) -> None:
    delivery = webhook.read(attached_zip(zipped(content.encode())))

    assert b"".join(delivery.csv_blocks()).decode() == content


def test_looker_is_told_and_nothing_is_stored(world: World) -> None:
    world.add_relay("sales")

    answer = world.post_delivery("sales", attached_zip(zipped(TOTALS.encode())))

    assert (answer.status, answer.code) == (422, "delivery_not_usable")
    assert "totals row" in answer.body["looker"]["message"]
    assert world.objects("inbox/") == []
