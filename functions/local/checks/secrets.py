"""Checks of secrets: whether each can be read, and when each expires. The checks of vendors try what they contain."""

from collections.abc import Iterator
from datetime import date

from common import bridge_yaml
from common.flows.watch import NEAR_DAYS, SecretExpiry, expiries
from common.platform.errors import BridgeError
from common.runs.instance import Instance
from local import next_steps
from local.checks.finding import Finding, from_error, green, red, yellow


def try_secret(instance: Instance, subject: str, name: str) -> Finding:
    try:
        instance.secrets.read(name)
    except BridgeError as error:
        return from_error(subject, error)
    return green(subject, f"The secret {name} can be read.")


def expiry_findings(bridge: bridge_yaml.Bridge, today: date) -> Iterator[Finding]:
    """Check the days that bridge.yaml gives for the expiry of secrets.

    Args:
        today: in UTC.
    """
    for expiry in expiries(bridge.secrets, today):
        yield _expiry_finding(expiry)


def _expiry_finding(expiry: SecretExpiry) -> Finding:
    subject, secret, day = f"secrets.{expiry.secret}.expires", expiry.secret, expiry.expires.isoformat()
    days_left = "Today is its last day." if expiry.days_left == 1 else f"{expiry.days_left} days are left."
    next_step = (
        f"Create a new key with the vendor, {next_steps.place_of_new_key(secret)}, and write its expiry day here."
    )
    if expiry.days_left <= 0:
        return red(subject, f"The secret {secret} stopped working on {day}.", next_step)
    if expiry.days_left <= NEAR_DAYS:
        return yellow(subject, f"The secret {secret} stops working soon, on {day}. {days_left}", next_step)
    return green(subject, f"The secret {secret} stops working on {day}. {days_left}")
