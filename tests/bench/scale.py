"""What a large bridge calls, costs and reaches first: on paper, from the calls that the sandbox counts.

One call of each kind is made against the sandbox and its requests are counted; the rest is multiplication. The duration
of calls, the prices and the free tiers are those of infra/README.md, "Costs".
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from common.looker.licence import LIMITS
from common.pigment.pace import ImportPace, ImportTime
from common.tables.compare.matching import ROWS_AT_ONCE
from local import function_server
from tests.support.operations import CountedCall, count_calls
from tests.support.world import Servers, open_world

from . import show

JOBS = 500
DELIVERIES_A_DAY = 1_000_000
ROWS = 100_000_000
RELAYS = 100
"Among which the deliveries are distributed, each with an import configuration of its own."

_DAYS = 30
_DAY_S = 86_400
_HOUR_S = 3_600
_SWEEPS_A_DAY = 144

# Per second of one core, as `python -m tests.bench wall` and `verify` measure them.
_PULLED_ROWS_PER_S = 300_000
_COMPARED_ROWS_PER_S = 200_000
_ROW_BYTES = 60
_GIB = 1024**3

# How long a call takes, and the GiB of its function.
_SECONDS: Mapping[str, tuple[float, float]] = {
    "pulls": (60, 2),
    "deliveries stored": (0.5, 2),
    "deliveries imported": (10, 2),
    "sweeps": (2, 2),
}

# How long Pigment imports, of that time.
_IMPORT_S: Mapping[str, float] = {"pulls": 30, "deliveries imported": 5}

# Dollars, in europe-west1.
_CLASS_A, _CLASS_B = 0.000005, 0.0000004
_CORE_S, _GIB_S = 0.000024, 0.0000025
_SCHEDULE = 0.10
_FREE_CORE_S, _FREE_GIB_S, _FREE_SCHEDULES = 180_000, 360_000, 3

# The limits, and where they are from.
_INSTANCES = {"pulls": 5, "deliveries imported": 3, "deliveries stored": 5}
"Defaults of `functions` in infra/variables.tf."
_RECEIVED_AT_ONCE = 8
"Deliveries by one instance, by the same file."
_CALL_S = 1_785
"The longest call that Cloud Scheduler makes, less the margin for its answer."
_SWEEP_S = 585
"The timeout of the sweep, less the same margin."
_PIGMENT_REQUESTS, _PIGMENT_WINDOW_S = 500, 300
"In five minutes from one address (Pigment's rate limits)."
_PIGMENT_PUSHES_AN_HOUR = 300
"For one import configuration (Pigment's API description)."
_SCHEDULES = 1_000
"Jobs of Cloud Scheduler in a region; on request 5,000 (https://cloud.google.com/scheduler/quotas)."
_WRITES_OF_ONE_OBJECT_PER_S = 1
"https://cloud.google.com/storage/quotas"
_WRITES_OF_A_BUCKET_PER_S = 1_000
"Before it scales (https://cloud.google.com/storage/docs/request-rate)."
_UNDIVIDED_BYTES = 4 * _GIB
"The longest CSV with line feeds in cells that BigQuery reads."


class LargeBridge(msgspec.Struct, frozen=True):
    """How many calls of each kind there are in a month."""

    title: str
    calls: Mapping[str, float]
    seconds: Mapping[str, float]
    "How long a call takes."
    schedules: int
    limits: Sequence["ReachedLimit"]


class ReachedLimit(msgspec.Struct, frozen=True):
    what: str
    demand: float
    limit: float
    turn: str

    @property
    def times(self) -> float:
        return self.demand / self.limit


def measure() -> None:
    """Count the calls, and print the tables of tests/README.md."""
    for table in tables(counted()):
        show.console.print(table, soft_wrap=True, markup=False, highlight=False)


def counted() -> dict[str, CountedCall]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        pytest.MonkeyPatch.context() as environment,
        function_server.serve_functions(names=None) as addresses,
        Servers() as servers,
        open_world(Path(folder), servers, addresses, environment) as world,
    ):
        environment.setenv("BRIDGE_LOG_LEVEL", "CRITICAL")
        return count_calls(world)


def tables(calls: Mapping[str, CountedCall]) -> Iterator[str]:
    scenarios = [_hourly_jobs(calls), _deliveries(calls), _large_look(calls)]
    yield _costs(calls, scenarios)
    for scenario in scenarios:
        yield _limits(scenario)


def _hourly_jobs(calls: Mapping[str, CountedCall]) -> LargeBridge:
    pull = calls["pulls"]
    runs = JOBS * 24 * _DAYS
    licence = LIMITS["enterprise"]
    return LargeBridge(
        f"{JOBS} pulls every hour",
        {"pulls": runs, "sweeps": _SWEEPS_A_DAY * _DAYS},
        {"sweeps": _sweep_s(JOBS)},
        JOBS + 1,
        [
            ReachedLimit(
                "administrative calls of Looker's licence (Enterprise), in a month",
                runs * pull.looker["administrative"],
                licence.administrative,
                "`source: {explore: …}`, which asks for no Look; fewer runs; a larger licence",
            ),
            ReachedLimit(
                "query-based calls of the same licence",
                runs * pull.looker["query"],
                licence.query,
                "fewer runs, of more rows: one Look for several jobs; a larger licence",
            ),
            ReachedLimit(
                "instances of `looker-pull`, if the schedules are spread over the hour",
                JOBS * _seconds("pulls") / _HOUR_S,
                _INSTANCES["pulls"],
                "`functions.looker_pull.max_instances = 20`, and other minutes than 0 in the schedules",
            ),
            ReachedLimit(
                "seconds of a sweep, which looks at every job",
                _sweep_s(JOBS),
                _SWEEP_S,
                "no job is left out for long: the order is random",
            ),
            ReachedLimit(
                "jobs of Cloud Scheduler in a region", JOBS + 1, _SCHEDULES, "ask Google for more, up to 5,000"
            ),
            _pigment_requests(JOBS / _HOUR_S, _of_pigment(calls, "pulls")),
            _hottest_object(JOBS / _HOUR_S, pull),
            _bucket(JOBS / _HOUR_S, [pull]),
        ],
    )


def _deliveries(calls: Mapping[str, CountedCall]) -> LargeBridge:
    stored, imported = calls["deliveries stored"], calls["deliveries imported"]
    deliveries, per_s = DELIVERIES_A_DAY * _DAYS, DELIVERIES_A_DAY / _DAY_S
    latest = "`keep: latest`: only the newest delivery of a relay is imported"
    return LargeBridge(
        f"{DELIVERIES_A_DAY:,} deliveries a day",
        {"deliveries stored": deliveries, "deliveries imported": deliveries, "sweeps": _SWEEPS_A_DAY * _DAYS},
        {"sweeps": _sweep_s(RELAYS)},
        1,
        [
            ReachedLimit(
                "instances of `webhook-deliver`",
                per_s * _seconds("deliveries imported"),
                _INSTANCES["deliveries imported"],
                f"{latest}; `functions.webhook_deliver.max_instances`, at most one for each configuration",
            ),
            _pigment_requests(per_s, _of_pigment(calls, "deliveries imported")),
            _hottest_object(per_s, imported),
            ReachedLimit(
                f"imports of one configuration in an hour, of {RELAYS}",
                per_s * _HOUR_S / RELAYS,
                _PIGMENT_PUSHES_AN_HOUR,
                f"{latest}; more relays, each with a configuration of its own",
            ),
            ReachedLimit(
                "instances of `webhook-receive`",
                per_s * _seconds("deliveries stored") / _RECEIVED_AT_ONCE,
                _INSTANCES["deliveries stored"],
                "`functions.webhook_receive.max_instances`",
            ),
            _bucket(per_s, [stored, imported]),
        ],
    )


def _large_look(calls: Mapping[str, CountedCall]) -> LargeBridge:
    both, shares = 2 * ROWS, 2 * ROWS // ROWS_AT_ONCE + 1
    pull_s = ROWS / _PULLED_ROWS_PER_S
    windows = "`load: incremental`: a window for each call"
    return LargeBridge(
        f"a Look of {ROWS:,} rows every day",
        {"pulls": _DAYS, "sweeps": _SWEEPS_A_DAY * _DAYS},
        {"pulls": pull_s, "sweeps": _sweep_s(1)},
        2,
        [
            ReachedLimit(
                f"seconds of a call, `load: changes`: both files are read {shares} times",
                pull_s + shares * both / _COMPARED_ROWS_PER_S,
                _CALL_S,
                "`load.changes.engine: bigquery`, which reads both files once",
            ),
            ReachedLimit(
                f"seconds of a call, `verify` of a block that differs: {shares} readings as well",
                pull_s + shares * both / _COMPARED_ROWS_PER_S,
                _CALL_S,
                "`verify.engine: bigquery`, which reads both files once",
            ),
            ReachedLimit(
                f"bytes of a file with line feeds in cells, for `engine: bigquery` ({_ROW_BYTES} bytes a row)",
                ROWS * _ROW_BYTES,
                _UNDIVIDED_BYTES,
                f"no such cells in the Look; {windows}",
            ),
            ReachedLimit(
                "seconds of a call, `verify` of a block that is equal: one reading",
                pull_s + both / _COMPARED_ROWS_PER_S,
                _CALL_S,
                "`verify.engine: bigquery`",
            ),
            ReachedLimit(
                "seconds of a call, the pull alone, if Looker sends as fast as the bridge reads",
                pull_s,
                _CALL_S,
                f"{windows}; `bridge backfill` on a machine of one's own, which has no limit",
            ),
            ReachedLimit("GiB of memory, the pull alone", 0.11, 2, "nothing: it does not depend on the rows"),
            _pigment_requests(1 / _DAY_S, _of_pigment(calls, "pulls")),
        ],
    )


def _sweep_s(jobs: int) -> float:
    """Return how long a sweep takes, which lists the receipts of each job: with eight of them, two seconds."""
    usual_s, usual_jobs = _seconds("sweeps"), 8
    return max(usual_s, usual_s * jobs / usual_jobs)


def _seconds(kind: str) -> float:
    return _SECONDS[kind][0]


def _of_pigment(calls: Mapping[str, CountedCall], kind: str) -> int:
    """Return how many requests a call sends to Pigment, which is asked for the state of an import until it ends."""
    return calls[kind].pigment + (_questions(_IMPORT_S[kind]) if kind in _IMPORT_S else 0)


def _questions(import_s: float) -> int:
    """Return how often Pigment is asked for an import that takes as long as the last one by its configuration."""
    rows = 1
    pace = ImportPace(ImportTime(rows, import_s))
    elapsed_s, questions = pace.first_wait_s(rows), 1
    while elapsed_s < import_s:
        elapsed_s += pace.next_wait_s(rows, elapsed_s)
        questions += 1
    return questions


def _pigment_requests(per_s: float, requests: int) -> ReachedLimit:
    return ReachedLimit(
        f"requests to Pigment from one address, in five minutes; {requests} for each run",
        per_s * _PIGMENT_WINDOW_S * requests,
        _PIGMENT_REQUESTS,
        "`network.addresses`: Pigment counts by address; `keep: latest`, or fewer runs of more rows",
    )


def _hottest_object(per_s: float, call: CountedCall) -> ReachedLimit:
    """Return the limit for the object of the status pages, which every run of every job writes."""
    return ReachedLimit(
        "writes of `status/status.json` per second",
        per_s * call.writes["status/status.json"],
        _WRITES_OF_ONE_OBJECT_PER_S,
        "nothing: a run that does not get through in five seconds leaves the page to the sweep",
    )


def _bucket(per_s: float, calls: Sequence[CountedCall]) -> ReachedLimit:
    written = sum(sum(call.writes.values()) for call in calls)
    return ReachedLimit(
        "writes of the bucket per second, before it scales",
        per_s * written,
        _WRITES_OF_A_BUCKET_PER_S,
        "nothing: it scales by itself",
    )


def _costs(calls: Mapping[str, CountedCall], scenarios: Sequence[LargeBridge]) -> str:
    rows: dict[str, Callable[[LargeBridge], str]] = {
        "runs and deliveries": lambda each: f"{sum(n for kind, n in each.calls.items() if kind != 'sweeps'):,.0f}",
        "Cloud Storage, class A": lambda each: f"{_operations(calls, each)['A']:,.0f}",
        "Cloud Storage, class B": lambda each: f"{_operations(calls, each)['B']:,.0f}",
        "Looker, query-based": lambda each: f"{_of_vendors(calls, each)['query']:,.0f}",
        "Looker, administrative": lambda each: f"{_of_vendors(calls, each)['administrative']:,.0f}",
        "Pigment": lambda each: f"{_of_vendors(calls, each)['pigment']:,.0f}",
        "Pub/Sub messages": lambda each: f"{each.calls.get('deliveries stored', 0):,.0f}",
        "core-seconds": lambda each: f"{_busy(each)[0]:,.0f}",
        "operations, dollars": lambda each: f"{_operation_dollars(calls, each):,.0f}",
        "functions, dollars": lambda each: f"{_function_dollars(each):,.0f}",
        "schedules, dollars": lambda each: f"{_schedule_dollars(each):,.0f}",
        "together, dollars": lambda each: f"{_dollars(calls, each):,.0f}",
    }
    columns = ["in a month of 30 days", *(scenario.title for scenario in scenarios)]
    return _markdown(columns, [[name, *map(cell, scenarios)] for name, cell in rows.items()])


def _operations(calls: Mapping[str, CountedCall], scenario: LargeBridge) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind, times in scenario.calls.items():
        for name, number in calls[kind].storage.items():
            found[name] += int(number * times)
    # A sweep lists once for each job; the one that was counted has three.
    found["A"] += int(scenario.calls["sweeps"] * max(0, _jobs(scenario) - 3))
    return found


def _jobs(scenario: LargeBridge) -> int:
    return RELAYS if "deliveries stored" in scenario.calls else scenario.schedules - 1


def _of_vendors(calls: Mapping[str, CountedCall], scenario: LargeBridge) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind, times in scenario.calls.items():
        found["pigment"] += int(_of_pigment(calls, kind) * times)
        for name, number in calls[kind].looker.items():
            found[name] += int(number * times)
    return found


def _busy(scenario: LargeBridge) -> tuple[float, float]:
    """Return the seconds of cores, and of GiB of memory."""
    core_s = gib_s = 0.0
    for kind, times in scenario.calls.items():
        seconds = scenario.seconds.get(kind, _seconds(kind)) * times
        core_s, gib_s = core_s + seconds, gib_s + seconds * _SECONDS[kind][1]
    return core_s, gib_s


def _operation_dollars(calls: Mapping[str, CountedCall], scenario: LargeBridge) -> float:
    operations = _operations(calls, scenario)
    return operations["A"] * _CLASS_A + operations["B"] * _CLASS_B


def _function_dollars(scenario: LargeBridge) -> float:
    core_s, gib_s = _busy(scenario)
    return max(0, core_s - _FREE_CORE_S) * _CORE_S + max(0, gib_s - _FREE_GIB_S) * _GIB_S


def _schedule_dollars(scenario: LargeBridge) -> float:
    return max(0, scenario.schedules - _FREE_SCHEDULES) * _SCHEDULE


def _dollars(calls: Mapping[str, CountedCall], scenario: LargeBridge) -> float:
    return _operation_dollars(calls, scenario) + _function_dollars(scenario) + _schedule_dollars(scenario)


def _limits(scenario: LargeBridge) -> str:
    """Return the limits of a scenario, that which it reaches first at the top."""
    rows = [
        [each.what, _short(each.demand), _short(each.limit), _short(each.times), each.turn]
        for each in sorted(scenario.limits, key=lambda limit: -limit.times)
    ]
    return _markdown([scenario.title, "needs", "limit", "times", "what to turn"], rows)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")
