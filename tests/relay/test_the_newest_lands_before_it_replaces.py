"""`keep: latest`: the newest delivery lands first, and only what has landed replaces older ones."""

import pytest

from common.runs.leases import LIFETIME_S
from local.sandbox.wire import Response
from tests.support.settling import settle
from tests.support.world import PUSH, STORAGE_WRITES, World, delivery

_REFUSED = Response(403, b"{}", {"Content-Type": "application/json"})


@pytest.fixture
def sales(world: World) -> World:
    world.add_relay("sales", keep="latest", guards={"min_rows": 2})
    return world


def send(world: World, *numbers: int, rows: int = 2) -> None:
    for number in numbers:
        body = delivery(*[(str(number), str(row)) for row in range(rows)])
        assert world.post_delivery("sales", body).status == 200
        world.clock.advance(1)


def landed(world: World) -> list[str]:
    rows = world.pigment.rows(world.raw["relays"]["sales"]["target"]["configuration"])
    return [row["Id"] for row in rows if row["Amount"] == "0"]


def ends(world: World) -> list[str]:
    """How each closed delivery ended, in the order of arrival."""
    closed = [entry for place in ("delivered/", "dead/") for entry in world.bucket.entries(place)]
    closed.sort(key=lambda entry: entry.name.rpartition("/")[2])
    return [entry.metadata.get("code") or entry.metadata["outcome"] for entry in closed]


def test_if_the_newest_is_refused_the_next_newest_lands(sales: World) -> None:
    send(sales, 1, 2)
    send(sales, 3, rows=1)

    answer = sales.run_deliver()

    assert landed(sales) == ["2"]
    assert ends(sales) == ["replaced", "landed", "too_few_rows"]
    assert (answer.status, answer.body["delivered"], answer.body["dead"], answer.body["waiting"]) == (200, 1, 1, 0)


def test_if_pigment_fails_to_import_the_newest_the_next_newest_lands(sales: World) -> None:
    send(sales, 1, 2, 3)
    sales.pigment.fail_next(sales.raw["relays"]["sales"]["target"]["configuration"], "Broken", "No")

    sales.run_deliver()

    assert landed(sales) == ["2"]
    assert ends(sales) == ["replaced", "landed", "import_failed"]


def test_while_the_newest_waits_nothing_is_replaced(sales: World) -> None:
    send(sales, 1, 2)
    sales.pigment_server.fault(PUSH, times=-1, refuse=Response(429))

    assert sales.run_deliver().body["waiting"] == 2

    assert ends(sales) == []


@pytest.mark.parametrize("write", [n if n % 4 == 1 else pytest.param(n, marks=pytest.mark.slow) for n in range(24)])
def test_after_a_kill_no_older_delivery_follows_a_newer_one(sales: World, write: int) -> None:
    send(sales, 1, 2, 3)
    sales.storage_server.fault(STORAGE_WRITES, times=-1, after=write, refuse=_REFUSED)
    sales.run_deliver()
    sales.storage_server.heal()
    sales.clock.advance(LIFETIME_S + 1)
    if sales.run_deliver().status != 200:
        # Pigment has the file, and nobody noted it: a person looks there.
        settle(sales, sales.raw["relays"]["sales"]["target"]["configuration"])
        sales.run_deliver()

    assert landed(sales) == ["3"]
    assert ends(sales) == ["replaced", "replaced", "landed"]


@pytest.mark.long
def test_more_deliveries_than_a_listing_has_are_replaced_by_the_newest(sales: World) -> None:
    send(sales, 0)
    (path,) = sales.objects("inbox/sales/")
    content = sales.bucket.read(path)
    for number in range(230):
        name = f"20260301T05{number // 60:02}{number % 60:02}000000-{number:032x}"
        sales.bucket.create(f"inbox/sales/{name}", content, {}, content_type="application/json")
    send(sales, 1)

    assert sales.run_deliver().body["waiting"] == 0

    assert landed(sales) == ["1"]
    assert ends(sales).count("replaced") == 231
