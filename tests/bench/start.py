"""Cold start: the import of a function and its first answer, as deployed: with the packages of requirements.txt alone,
compiled, behind functions-framework. What the framework imports itself is beside it: no function can avoid it.
"""

import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median

from infra import archive

from . import contenders, relay, relay_sites, served, show
from .contenders import Cost
from .relay_sites import RELAY, TOKEN

ROUNDS = 9
_MOST_CPU_S = 0.35
"Of the import of an entry file, on the machine of tests/README.md."
_IMPORTS = "A fresh interpreter, from its start through its imports"
_FRAMEWORK = "functions_framework"
_FUNCTIONS = ("looker_pull", "webhook_receive", "webhook_deliver", "pigment_export")
_NOTHING = "nothing"
_ANSWERING = (_NOTHING, "webhook_receive", "webhook_deliver")
"The second one stores a delivery, which the third one imports."
_ANSWERS_AT_ONCE = """
import functions_framework

@functions_framework.http
def nothing(request):
    return "nothing"
"""


def measure(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        python = _deployed(Path(name))
        if python is None:
            return
        source = Path(name) / "source"
        imports = {modules: _importing(python, source, modules) for modules in (_FRAMEWORK, *_FUNCTIONS)}
        _show(_IMPORTS, imports, rounds)
        (source / f"{_NOTHING}.py").write_text(_ANSWERS_AT_ONCE)
        with relay_sites.running() as sites:
            answers = {
                entry: partial(_answer, python, source / f"{entry}.py", sites.environment) for entry in _ANSWERING
            }
            _show("A function, from the start of its process to its first answer", answers, rounds)


def _deployed(folder: Path) -> Path | None:
    """Unpack the archive beside an interpreter with its packages, and compile both, as the buildpack does."""
    archive.write(folder / "functions.zip")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", folder / "functions.zip", folder / "source"], check=True)
    given = ("--require-hashes", "-r", str(folder / "source" / "requirements.txt"))
    python = contenders.environment_with(folder, *given)
    subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)
    return Path(python) if python else None


def _show(title: str, contestants: Mapping[str, Callable[[], Cost]], rounds: int) -> None:
    costs = contenders.in_turn("start", contestants, rounds)
    table = show.table(title, "function", "wall s", "CPU s", "times the framework")
    bare = costs.get(_FRAMEWORK) or costs[_NOTHING]
    for name, every in costs.items():
        cpu_s = [cost.cpu_s for cost in every]
        ratio = median(mine / other.cpu_s for mine, other in zip(cpu_s, bare, strict=True))
        walls = show.spread([cost.wall_s for cost in every])
        table.add_row(name, walls, show.spread(cpu_s), f"{ratio:.2f}")
        if title == _IMPORTS:
            show.goal(f"{name}: at most {_MOST_CPU_S} s", is_met=median(cpu_s) <= _MOST_CPU_S)
    show.console.print(table)


def _importing(python: Path, source: Path, modules: str) -> Callable[[], Cost]:
    return lambda: contenders.run([str(python), "-c", f"import {modules}"], {"PYTHONPATH": str(source)})[0]


def _answer(python: Path, source: Path, environment: Mapping[str, str]) -> Cost:
    port = served.free_port()
    given = [f"--target={source.stem}", f"--source={source}", "--host=127.0.0.1", f"--port={port}"]
    before = os.times()
    began_s = time.perf_counter()
    process = subprocess.Popen(
        [python.with_name("functions-framework"), *given],
        env={**os.environ, **environment, "BRIDGE_LOG_LEVEL": "ERROR"},
    )
    try:
        served.wait_until_it_listens(process, port, every_s=0.005)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            served.acknowledged_in_s(connection, RELAY, TOKEN, relay.delivery(1000))
        wall_s = time.perf_counter() - began_s
    finally:
        process.terminate()
        process.wait()
    spent = os.times()
    # The child of gunicorn's first process is counted with it.
    cpu_s = spent.children_user + spent.children_system - before.children_user - before.children_system
    return Cost(wall_s=wall_s, cpu_s=cpu_s, peak_bytes=0)
