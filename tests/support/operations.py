"""What one call of each kind asks of Google's and the vendors' APIs, as the sandbox counts it."""

import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from local.sandbox.wire import Exchange
from tests.support.world import World, delivery


class CountedCall(NamedTuple):
    """The requests of one call, in a bridge that has been running for a while."""

    storage: Counter[str]
    "Operations of Cloud Storage, by class."
    writes: Counter[str]
    "Writes, by the object."
    pigment: int
    "Requests to Pigment, without the questions how an import goes on, whose number depends on its duration."
    looker: Counter[str]
    "Calls of Looker's API, by the kind that a licence counts; empty if the call reads nothing from Looker."


def count_calls(world: World) -> dict[str, CountedCall]:
    """Count one call of each kind, for a bridge with a pull, an export and a relay."""
    world.storage_server.keep_bytes = 1 << 16  # the names of objects are in bodies
    world.add_pull("flights", target={"repeatable": True}, schedule="15 6 * * *")
    world.add_export("revenue", schedule="0 * * * *")
    world.answer_exports(b"Id;Amount\n1;2\n")
    world.add_relay("sales")

    def post() -> None:
        world.post_delivery("sales", delivery(("1", "2")), X_Looker_Webhook_Id=world.clock.now().isoformat())

    def push() -> None:
        message = {"attributes": {"objectId": "inbox/sales/any", "eventType": "OBJECT_FINALIZE"}, "messageId": "1"}
        world.call_function("deliver", message=message, subscription="deliver")

    calls: dict[str, Callable[[], object]] = {
        "pulls": lambda: world.run_pull("flights"),
        "exports": lambda: world.run_export("revenue"),
        "deliveries stored": post,
        "deliveries imported": push,
        "sweeps": world.run_deliver,
    }
    for call in (*calls.values(), world.run_deliver):
        call()
    counted = {kind: count_call(world, call) for kind, call in calls.items()}
    calls_of_looker = Counter({kind: n for kind, n in (world.receipts()[-1]["calls"] or {}).items() if n})
    counted["pulls"] = counted["pulls"]._replace(looker=calls_of_looker)
    # The first sweep after a run reads its receipt.
    return counted | {"sweeps": count_call(world, world.run_deliver)}


def count_call(world: World, call: Callable[[], object]) -> CountedCall:
    world.clock.advance(3600)
    # Of the request before, if it is noted late.
    world.bucket.exists("mark")
    world.storage_server.exchanges.clear()
    world.pigment_server.exchanges.clear()
    call()
    world.bucket.exists("mark")
    exchanges = world.storage_server.exchanges
    classes = Counter(filter(None, map(class_of, exchanges)))
    writes = Counter(filter(None, map(written_by, exchanges)))
    asked = [each for each in world.pigment_server.exchanges if not each.path.endswith("/status")]
    return CountedCall(classes, writes, len(asked), Counter())


def class_of(exchange: Exchange) -> str | None:
    """Return the class of an operation, by https://cloud.google.com/storage/pricing; None if it costs nothing."""
    if exchange.path.endswith("/o/mark") or exchange.method == "DELETE":
        return None
    if exchange.method == "PUT":
        return None  # a resumable upload is one operation
    is_list = exchange.method == "GET" and exchange.path.endswith("/o")
    return "A" if is_list or exchange.method == "POST" else "B"


def written_by(exchange: Exchange) -> str | None:
    """Return the name of the object that a request writes; None if it writes none."""
    if exchange.method != "POST" or "/o" not in exchange.path:
        return None
    named = re.findall(r'"name": ?"([^"]+)"', exchange.body.decode(errors="replace"))
    copied = exchange.path.partition("/rewriteTo/")[2].rpartition("/o/")[2]
    names: list[str] = [*exchange.query.get("name", []), *named, copied]
    return names[0]
