"""`python -m tests.proofs.load [--deliveries N] [--relays N] [--seed N]`: a load test that looks for lost deliveries.

A Looker posts to the functions in separate processes while Pigment and Cloud Storage sometimes fail, and processes are
killed, or stopped until another one has taken over. Then all faults end, waiting deliveries are landed, and every
acknowledged delivery is looked up.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from common.platform import log

from . import show
from .audit import judge
from .cloud import Cloud, Process
from .looker import Looker
from .people import Chaos, Operator, PubSub, Repeated

_MOST_WAITING = 200
_LONGEST_STANDSTILL_S = 60


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.proofs.load", description=__doc__)
    asked.add_argument("--deliveries", type=int, default=10_000)
    asked.add_argument("--relays", type=int, default=20)
    asked.add_argument("--deliverers", type=int, default=2, help="processes that land, beside the one that receives")
    asked.add_argument(
        "--kill-every",
        type=int,
        default=100,
        metavar="N",
        help="at every Nth delivery, kill a process and stop another for 8 s",
    )
    asked.add_argument("--seed", type=int, default=None)
    given = asked.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    show.console.print(f"{given.deliveries:,} deliveries to {given.relays} relays, seed {seed}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        cloud = Cloud(Path(folder))
        stack.enter_context(cloud.running())
        log.configure()
        relays = cloud.relays(given.relays)
        processes = [Process(cloud.environment()) for _ in range(1 + given.deliverers)]
        for process in processes:
            stack.callback(process.stop)
        receiver, *deliverers = processes
        pubsub = PubSub(deliverers, relays, random.Random(f"{seed} waker"))
        cloud.storage.on_finalize.append(pubsub.notice)
        chaos = Chaos(cloud, receiver, deliverers, random.Random(f"{seed} chaos"), given.kill_every)
        operator = Operator(cloud)
        looker = Looker(relays, given.deliveries, random.Random(seed))
        steady = [*pubsub.jobs(), Repeated(2, pubsub.sweep), Repeated(0.5, operator.look)]
        with _progress(cloud, given.deliveries):
            for job in steady:
                job.start()
            cloud.misbehave(random.Random(f"{seed} faults"))
            began_s = time.monotonic()
            looker.post_all(lambda: receiver.address("receive"), lambda: cloud.waiting() < _MOST_WAITING, chaos.posted)
            cloud.heal()
            drained = _drain(cloud)
            took_s = time.monotonic() - began_s
            for job in steady:
                job.stop()
        verdict = judge(cloud, looker.posted)
        show.verdict(verdict, seed, took_s, processes, operator.settled)
    if not drained:
        show.console.print(f"[red]{cloud.waiting()} deliveries still wait.")
    return 0 if drained and verdict.is_clean else 1


def _drain(cloud: Cloud) -> bool:
    """Wait until the inbox is empty and every lease is released; return False if there is no progress."""
    pause = threading.Event()
    moved_s, ended = time.monotonic(), cloud.ended
    while cloud.waiting() or cloud.leases():
        if cloud.ended != ended:
            moved_s, ended = time.monotonic(), cloud.ended
        if time.monotonic() - moved_s > _LONGEST_STANDSTILL_S:
            return False
        pause.wait(0.1)
    return True


def _progress(cloud: Cloud, total: int) -> ExitStack:
    """Show a progress bar on a terminal."""
    stack = ExitStack()
    if sys.stderr.isatty():
        columns = (TextColumn("landed"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        bar = stack.enter_context(Progress(*columns, console=show.bar_console, transient=True))
        task = bar.add_task("", total=total)
        job = Repeated(0.2, lambda: bar.update(task, completed=cloud.ended))
        job.start()
        stack.callback(job.stop)
    return stack


sys.exit(main())
