"""`python -m tests.bench [memory|wall|changes|verify|known|export|relay|backlog|door|start|rivals|scale]`."""

import argparse

from . import backlog, changes, door, export, known, memory, relay, scale, show, start, verify, wall
from .rivals import faults


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m tests.bench", description="Speed and memory, side by side.")
    asked.add_argument(
        "measurements",
        nargs="*",
        metavar="memory|wall|changes|verify|known|export|relay|backlog|door|start|rivals|scale",
        help="all of them, if none is named",
    )
    asked.add_argument(
        "--rows",
        type=int,
        help=f"of the largest pull, {memory.ROWS} for memory, {wall.ROWS} for wall; of the changes, {changes.ROWS}; "
        f"of the items, {known.ROWS}; of the export, {export.ROWS}; deliveries of the backlog, {backlog.WAITING}; "
        f"of the rivals, {faults.ROWS}",
    )
    asked.add_argument("--rounds", type=int, help="beside the one that warms up")
    given = asked.parse_args()
    measurements = {
        "memory": lambda: memory.measure(given.rows or memory.ROWS, given.rounds or memory.ROUNDS),
        "wall": lambda: wall.measure(given.rows or wall.ROWS, given.rounds or wall.ROUNDS),
        "changes": lambda: changes.measure(given.rows or changes.ROWS, given.rounds or changes.ROUNDS),
        "verify": lambda: verify.measure(given.rows or verify.ROWS, given.rounds or verify.ROUNDS),
        "known": lambda: known.measure(given.rows or known.ROWS, given.rounds or known.ROUNDS),
        "export": lambda: export.measure(given.rows or export.ROWS, given.rounds or export.ROUNDS),
        "relay": lambda: relay.measure(given.rounds or relay.ROUNDS),
        "door": lambda: door.measure(given.rounds or door.ROUNDS),
        "backlog": lambda: backlog.measure(given.rows or backlog.WAITING),
        "start": lambda: start.measure(given.rounds or start.ROUNDS),
        "scale": lambda: scale.measure(),  # noqa: PLW0108  # like the others
        "rivals": lambda: faults.measure(given.rows or faults.ROWS, given.rounds or faults.ROUNDS),
    }
    unknown = [name for name in given.measurements if name not in measurements]
    if unknown:
        asked.error(f"{', '.join(unknown)}: choose from {', '.join(measurements)}")
    show.console.print(f"On {show.machine()}; medians of all rounds, in brackets the lowest and the highest.")
    for name in given.measurements or measurements:
        measurements[name]()


main()
