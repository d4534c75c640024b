"""The sweep and `bridge check` report a secret from a month before it expires."""

from datetime import date, timedelta
from typing import Any

import pytest

from common import bridge_yaml
from local.checks import secrets
from tests.support.world import World

TODAY = date(2026, 3, 1)
"The first day of the world's clock."


def logged(world: World, caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    caplog.clear()
    assert world.run_deliver().status == 200
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in lines if line["event"] == "secret expires soon"]


def expires_in(world: World, days: int) -> None:
    day = (TODAY + timedelta(days)).isoformat()
    world.raw["secrets"] = {"pigment-import-key": {"expires": day}}
    world.save_jobs()


@pytest.mark.parametrize(
    ("days", "severity"), [(30, "WARNING"), (2, "WARNING"), (1, "WARNING"), (0, "ERROR"), (-400, "ERROR")]
)
def test_a_secret_that_expires_within_a_month_is_logged(
    world: World, caplog: pytest.LogCaptureFixture, days: int, severity: str
) -> None:
    expires_in(world, days)

    (line,) = logged(world, caplog)

    assert (line["severity"], line["secret"], line["days_left"]) == (severity, "pigment-import-key", days)
    assert line["expires"] == (TODAY + timedelta(days)).isoformat()


def test_a_later_or_unknown_expiry_is_not_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    assert logged(world, caplog) == []
    expires_in(world, 31)
    assert logged(world, caplog) == []

    world.clock.advance(timedelta(days=1).total_seconds())
    assert len(logged(world, caplog)) == 1


def test_a_notification_of_pub_sub_logs_no_expiry(world: World, caplog: pytest.LogCaptureFixture) -> None:
    expires_in(world, 0)
    world.run_deliver(message={"attributes": {"objectId": "inbox/sales/x"}})

    assert "secret expires soon" not in caplog.text


@pytest.mark.parametrize(
    ("days", "colour", "what"),
    [
        (31, "green", "The secret pigment-import-key stops working on 2026-04-01. 31 days are left."),
        (30, "yellow", "The secret pigment-import-key stops working soon, on 2026-03-31. 30 days are left."),
        (1, "yellow", "The secret pigment-import-key stops working soon, on 2026-03-02. Today is its last day."),
        (0, "red", "The secret pigment-import-key stopped working on 2026-03-01."),
        (-1, "red", "The secret pigment-import-key stopped working on 2026-02-28."),
    ],
)
def test_bridge_check_reports_the_days_left(world: World, days: int, colour: str, what: str) -> None:
    expires_in(world, days)

    (finding,) = secrets.expiry_findings(bridge_yaml.decode(world.raw), TODAY)

    assert (finding.colour, finding.subject) == (colour, "secrets.pigment-import-key.expires")
    assert finding.what == what
    assert bool(finding.next_step) == (colour != "green")
