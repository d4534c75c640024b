"""Cold start: the import of a function, compared with the import of the framework and Google's clients alone."""

import sys
from collections.abc import Callable
from statistics import median

from . import contenders, show
from .contenders import Cost

ROUNDS = 9
_MOST_TIMES_BARE = 1.5
_BARE = "functions_framework, google.cloud.storage, google.cloud.secretmanager"
_FUNCTIONS = ("looker_pull", "webhook_receive", "webhook_deliver", "pigment_export")


def measure(rounds: int) -> None:
    imports = {modules: _importing(modules) for modules in (_BARE, *_FUNCTIONS)}
    costs = contenders.in_turn("start", imports, rounds)
    table = show.table(
        "A fresh interpreter, from its start through its imports", "import", "wall s", "ratio", "peak MB"
    )
    ratios: dict[str, float] = {}
    for modules, every in costs.items():
        walls_s = [cost.wall_s for cost in every]
        peak_mb = median(cost.peak_bytes / 1e6 for cost in every)
        ratios[modules] = contenders.times(walls_s, costs[_BARE])
        table.add_row(modules, show.spread(walls_s), f"{ratios[modules]:.2f}", f"{peak_mb:.0f}")
    show.console.print(table)
    show.goal(f"at most {_MOST_TIMES_BARE} × the bare imports", is_met=max(ratios.values()) <= _MOST_TIMES_BARE)


def _importing(modules: str) -> Callable[[], Cost]:
    return lambda: contenders.run([sys.executable, "-c", f"import {modules}"])[0]
