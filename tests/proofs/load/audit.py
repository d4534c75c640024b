"""Finds the result of every acknowledged delivery in Pigment's rows and in the bucket."""

import collections
import dataclasses
import json
import statistics

from .cloud import Cloud
from .looker import LoadDelivery


@dataclasses.dataclass
class Verdict:
    posted: int
    acknowledged: int = 0
    landed_once: int = 0
    replaced: int = 0
    "Replaced by a newer delivery of a relay with `keep: latest`."
    dead: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    "The number of dead deliveries by reason."
    lost: list[str] = dataclasses.field(default_factory=list)
    doubled: list[str] = dataclasses.field(default_factory=list)
    sent_again: int = 0
    "Deliveries to a repeatable target that were sent twice because the first push was not confirmed."
    acknowledged_s: list[float] = dataclasses.field(default_factory=list)
    landed_s: list[float] = dataclasses.field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.lost and not self.doubled


def judge(cloud: Cloud, posted: list[LoadDelivery]) -> Verdict:
    verdict = Verdict(len(posted))
    rows = _rows(cloud)
    ends = _ends(cloud)
    imports = _imports(cloud)
    for each in posted:
        count = rows[each.relay, f"{each.id}/last"]
        if count > 1:
            verdict.doubled.append(each.id)
        verdict.sent_again += len(imports[each.relay, each.id]) > 1
        if each.acknowledged_s is None:
            continue
        verdict.acknowledged += 1
        verdict.acknowledged_s.append(each.waited_s)
        end = ends.get((each.relay, each.id))
        if end is not None and end != "replaced":
            verdict.dead[end] += 1
        elif count:
            verdict.landed_once += count == 1
            verdict.landed_s.append(imports[each.relay, each.id][0] - each.acknowledged_s)
        elif end == "replaced":
            verdict.replaced += 1
        else:
            verdict.lost.append(each.id)
    return verdict


def quantile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def _rows(cloud: Cloud) -> collections.Counter[tuple[str, str]]:
    return collections.Counter(
        (relay, str(row["Id"]))
        for relay, configuration in cloud.configurations.items()
        for row in cloud.pigment.rows(configuration)
    )


def _ends(cloud: Cloud) -> dict[tuple[str, str], str]:
    """Return the reason of each delivery that did not land, from the bucket."""
    ends = {}
    for place in ("dead", "delivered"):
        for entry in cloud.bucket.entries(f"{place}/"):
            end = entry.metadata.get("code") or entry.metadata["outcome"]
            if place == "dead" or end == "replaced":
                identity = _identity((cloud.bucket_folder / entry.name).read_text())
                ends[entry.name.split("/")[1], identity] = end
    return ends


def _imports(cloud: Cloud) -> dict[tuple[str, str], list[float]]:
    """Return the times at which Pigment completed imports of each delivery."""
    relays = {configuration: relay for relay, configuration in cloud.configurations.items()}
    ended = collections.defaultdict(list)
    for each in cloud.pigment.imports:
        if each.status == "Completed" and each.ended_s is not None:
            identity = _identity(cloud.pigment.received(each.id).read_text())
            ended[relays[each.configuration], identity].append(each.ended_s)
    return ended


def _identity(content: str) -> str:
    """The identity of a delivery in Looker's JSON or as CSV."""
    text = json.loads(content)["attachment"]["data"] if content.startswith("{") else content
    return str(text.splitlines()[1].partition("/")[0])
