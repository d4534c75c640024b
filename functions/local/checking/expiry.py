"""Whether a secret still works for a while, by the day that bridge.yaml gives for its end."""

from collections.abc import Iterator
from datetime import date

from common import bridge_yaml
from common.flows.watch import NEAR_DAYS, SecretExpiry, expiries
from local.checking.finding import Finding, green, red, yellow


def findings(bridge: bridge_yaml.Bridge, today: date) -> Iterator[Finding]:
    """
    Args:
        today: in UTC.
    """
    for ending in expiries(bridge.secrets, today):
        yield _finding(ending)


def _finding(ending: SecretExpiry) -> Finding:
    subject, secret, day = f"secrets.{ending.secret}.expires", ending.secret, ending.expires.isoformat()
    next_step = (
        f"Make a new one where this one came from, add it as a new version of the secret {secret}, and write its own "
        "day here."
    )
    if ending.days_left <= 0:
        return red(subject, f"The secret {secret} ended: from {day} on it no longer works.", next_step)
    if ending.days_left <= NEAR_DAYS:
        return yellow(
            subject, f"The secret {secret} ends soon: from {day} on it no longer works. {_left(ending)}", next_step
        )
    return green(subject, f"The secret {secret} works for now: it ends on {day}. {_left(ending)}")


def _left(ending: SecretExpiry) -> str:
    return "Today is its last day." if ending.days_left == 1 else f"{ending.days_left} days are left."
