"""The relay: the rate of acknowledgements, compared with an empty function, and the time until a delivery has landed.

The empty function runs in the same framework with as many threads, reads the same bodies, and writes each as one
object. Only the bridge checks the token and the rows, and recognizes repeated deliveries.
"""

import http.client
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from threading import Barrier

import msgspec

from . import contenders, relay_sites, rows, served, show, storage_site
from .contenders import ContenderFailed
from .relay_sites import RELAY, TOKEN, RelaySites

ROUNDS = 5
_CLIENTS = 4
_LANDINGS_A_ROUND = 10
_BREATH_S = 0.2
"A pause after a landing, so that the rest of `webhook_deliver`'s work is not counted for the next one."

_EMPTY = Path(__file__).parent / "empty_receive.py"
_ROW_BYTES = 107
_CHUNK_BYTES = 64 * 1024


class Deliveries(msgspec.Struct, frozen=True):
    """The number and size of the deliveries in each round."""

    name: str
    size_bytes: int
    deliveries: int
    least_times_empty: float
    "The goal: this part of the rate of an empty function."


_LOADS = (
    Deliveries("1 KB", 1_000, 400, 0.75),
    Deliveries("1 MB", 1_000_000, 80, 0.8),
    Deliveries("25 MB", 25_000_000, 12, 0.85),
)
_MOST_TIMES_P99 = 2.0


class Acknowledged(msgspec.Struct, frozen=True):
    """The times of a round, from the first byte of its first delivery to the answer to its last one."""

    wall_s: float
    each_s: list[float]


def measure(rounds: int) -> None:
    _acknowledge(rounds)
    _land(rounds)


def _acknowledge(rounds: int) -> None:
    columns = ("deliveries of", "to", "a second", "ratio", "p50 ms", "p99 ms")
    table = show.table(f"Acknowledgements, {_CLIENTS} clients at once", *columns)
    ratios, slowest = [], []
    with ExitStack() as open_:
        sites = open_.enter_context(relay_sites.running())
        ports = {
            "an empty function": open_.enter_context(served.function(_EMPTY, sites.environment)),
            "webhook_receive": open_.enter_context(
                served.function(served.FUNCTIONS / "webhook_receive.py", sites.environment)
            ),
        }
        for load in _LOADS:
            body = delivery(load.size_bytes)
            calls = {name: partial(_round, sites, port, body, load.deliveries) for name, port in ports.items()}
            costs = contenders.in_turn(f"{load.deliveries} × {load.name}", calls, rounds)
            empty, ours = costs.values()
            ratios.append(contenders.times([each.wall_s for each in empty], ours))
            slowest.append(_p99_s(ours) / _p99_s(empty))
            for name, every in costs.items():
                rates = [load.deliveries / each.wall_s for each in every]
                ratio = f"{ratios[-1]:.2f}" if every is ours else ""
                table.add_row(load.name, name, show.spread(rates), ratio, *_percentiles_ms(every))
    show.console.print(table)
    for load, times_empty, factor in zip(_LOADS, ratios, slowest, strict=True):
        goal = f"{load.name}: at least {load.least_times_empty} × the rate of an empty function"
        show.goal(goal, is_met=times_empty >= load.least_times_empty)
        show.goal(
            f"{load.name}: p99 at most {_MOST_TIMES_P99} × its ({factor:.1f} ×)", is_met=factor <= _MOST_TIMES_P99
        )


def _land(rounds: int) -> None:
    """Measure one delivery at a time, from its first byte until it leaves the inbox after its landing."""
    body, port = delivery(_LOADS[0].size_bytes), served.free_port()
    with ExitStack() as open_:
        sites = open_.enter_context(relay_sites.running())
        receive = open_.enter_context(served.function(served.FUNCTIONS / "webhook_receive.py", sites.environment))
        open_.enter_context(served.function(served.FUNCTIONS / "webhook_deliver.py", sites.environment, port))
        sites.wake(f"http://127.0.0.1:{port}/")
        landing = {"webhook_receive, webhook_deliver": partial(_landings, sites, receive, body)}
        costs = contenders.in_turn(f"{_LANDINGS_A_ROUND} landings of {_LOADS[0].name}", landing, rounds)
    (every,) = costs.values()
    table = show.table("From a delivery's first byte to its end, one at a time", "deliveries of", "p50 ms", "p99 ms")
    table.add_row(_LOADS[0].name, *_percentiles_ms(every))
    show.console.print(table)


def _round(sites: RelaySites, port: int, body: bytes, deliveries: int) -> Acknowledged:
    """Post a round; each client keeps one connection."""
    start = Barrier(_CLIENTS + 1)
    with ThreadPoolExecutor(_CLIENTS) as pool:
        clients = [pool.submit(_client, port, body, deliveries // _CLIENTS, start) for _ in range(_CLIENTS)]
        start.wait()
        began_s = time.perf_counter()
        each_s = [took_s for client in clients for took_s in client.result()]
        wall_s = time.perf_counter() - began_s
    _sweep(sites)
    return Acknowledged(wall_s, each_s)


def _client(port: int, body: bytes, deliveries: int, start: Barrier) -> list[float]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        connection.connect()
        start.wait()
        return [_deliver(connection, body) for _ in range(deliveries)]


def _landings(sites: RelaySites, port: int, body: bytes) -> Acknowledged:
    each_s = []
    for _ in range(_LANDINGS_A_ROUND):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
            began_s = time.perf_counter()
            _deliver(connection, body)
            closed = sites.next_closed()
            each_s.append(time.perf_counter() - began_s)
        if closed.outcome != "landed":
            raise ContenderFailed(f"{closed.name} ended as {closed.outcome}.")
        time.sleep(_BREATH_S)
    return Acknowledged(sum(each_s), each_s)


def _deliver(connection: http.client.HTTPConnection, body: bytes) -> float:
    """Post a delivery with a new webhook ID, in chunks; return the seconds until it is acknowledged."""
    return served.acknowledged_in_s(connection, RELAY, TOKEN, _chunks(body))


def _chunks(body: bytes) -> Iterator[bytes]:
    content = memoryview(body)
    for start in range(0, len(content), _CHUNK_BYTES):
        yield bytes(content[start : start + _CHUNK_BYTES])


def delivery(size_bytes: int) -> bytes:
    """Return the body of a webhook: a JSON object that contains the CSV."""
    with TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "flights.csv"
        rows.write(file, size_bytes // _ROW_BYTES)
        _, _, records = file.read_text().partition("\n")
    plan = {"scheduled_plan_id": 1, "title": "Flights", "type": "Look"}
    attachment = {"mimetype": "text/csv", "extension": "csv", "data": f"{','.join(rows.HEADER)}\n{records}"}
    return json.dumps({"type": "query", "scheduled_plan": plan, "attachment": attachment}).encode()


def _sweep(sites: RelaySites) -> None:
    """Delete the stored bodies, so that every round begins with the same disk space."""
    bucket = storage_site.open_bucket(sites.environment)
    for name in list(bucket.names("inbox/")):
        bucket.delete(name)


def _percentiles_ms(rounds: Sequence[Acknowledged]) -> tuple[str, str]:
    each_ms = [took_s * 1000 for every in rounds for took_s in every.each_s]
    return f"{median(each_ms):.1f}", f"{_p99_s(rounds) * 1000:.1f}"


def _p99_s(rounds: Sequence[Acknowledged]) -> float:
    each_s = [took_s for every in rounds for took_s in every.each_s]
    return quantiles(each_s, n=100, method="inclusive")[98]
