"""A month before a secret ends somebody is told, by the sweep and by `bridge check`, and when it has ended, louder."""

from datetime import date, timedelta
from typing import Any

import pytest

from common import bridge_yaml
from local.checking import expiry
from tests.support.world import World

TODAY = date(2026, 3, 1)
"The first day of a world's clock."


def told(world: World, caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    caplog.clear()
    assert world.call("deliver").status == 200
    said = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in said if line["event"] == "secret expires soon"]


def ends_in(world: World, days: int) -> None:
    day = (TODAY + timedelta(days)).isoformat()
    world.raw["secrets"] = {"pigment-import-key": {"expires": day}}
    world.install()


@pytest.mark.parametrize(
    ("days", "level"), [(30, "warning"), (2, "warning"), (1, "warning"), (0, "error"), (-400, "error")]
)
def test_a_secret_that_ends_within_a_month_is_told_of(
    world: World, caplog: pytest.LogCaptureFixture, days: int, level: str
) -> None:
    ends_in(world, days)

    (line,) = told(world, caplog)

    assert (line["level"], line["secret"], line["days_left"]) == (level, "pigment-import-key", days)
    assert line["expires"] == (TODAY + timedelta(days)).isoformat()


def test_one_that_works_for_longer_or_of_which_no_end_is_known_is_not(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(world, caplog) == []
    ends_in(world, 31)
    assert told(world, caplog) == []

    world.clock.advance(timedelta(days=1).total_seconds())
    assert len(told(world, caplog)) == 1


def test_a_push_of_pub_sub_tells_of_none(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ends_in(world, 0)
    world.call("deliver", message={"attributes": {"objectId": "inbox/sales/x"}})

    assert "secret expires soon" not in caplog.text


@pytest.mark.parametrize(
    ("days", "colour", "words"),
    [
        (31, "green", "it ends on 2026-04-01. 31 days are left."),
        (30, "yellow", "from 2026-03-31 on it no longer works. 30 days are left."),
        (1, "yellow", "Today is its last day."),
        (0, "red", "from 2026-03-01 on it no longer works."),
        (-1, "red", "from 2026-02-28 on it no longer works."),
    ],
)
def test_bridge_check_says_how_long_a_secret_works(world: World, days: int, colour: str, words: str) -> None:
    ends_in(world, days)

    (finding,) = expiry.findings(bridge_yaml.decode(world.raw), TODAY)

    assert (finding.colour, finding.subject) == (colour, "secrets.pigment-import-key.expires")
    assert words in finding.what
    assert bool(finding.next_step) == (colour != "green")
