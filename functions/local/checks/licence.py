"""Checks of Looker's licence: whether it holds the calls that the schedules need. No request is sent."""

import datetime as dt
from collections.abc import Iterator

from common import bridge_yaml
from common.looker import licence
from local.checks.finding import Finding, green, red


def findings(bridge: bridge_yaml.Bridge, today: dt.date) -> Iterator[Finding]:
    limits = licence.limits_of(bridge.looker)
    if limits is None:
        return
    key = "looker.licence" if bridge.looker.licence else "looker.calls_per_month"
    faults = list(licence.faults(bridge, today))
    for path, problem, advice in faults:
        yield red(path, f"{problem[:1].upper()}{problem[1:]}.", f"Write {advice}.")
    if not faults:
        needs = [
            f"{licence.busiest_month(bridge, kind, today).needs(kind):,} of {getattr(limits, kind):,} {name}"
            for kind, name in licence.COUNTED
        ]
        yield green(key, f"The schedules need {' and '.join(needs)} calls in a month with most runs.")
