"""Fixtures: the functions and the sandbox's servers once per worker, and a world of its own for each test."""

import gc
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import filterfalse
from pathlib import Path

import hypothesis
import pytest

from common.runs import instance
from local import function_server
from tests.support.kills import Processes
from tests.support.sites import SHARED
from tests.support.world import Servers, World, open_world

# Nothing else that this machine sets may change a test: proxies, credentials, emulators. It is also faster, because
# requests reads the whole environment twice for each request. Byte code is kept even if this machine does not want it:
# each worker and each process of a test would compile all modules again.
_KEPT = re.compile(
    r"CI|BRIDGE_REFERENCE|HOME|LANG|PATH|TF_CLI_CONFIG_FILE|TMPDIR"
    r"|(?!PYTHONDONTWRITEBYTECODE)(LC|PIP|PYTEST|PYTHON|SSL|UV|XDG)_?.*"
)
for name in filterfalse(_KEPT.fullmatch, list(os.environ)):
    del os.environ[name]
sys.dont_write_bytecode = False

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")

_TESTS = Path(__file__).parent
_LONGEST_FIRST = ("proofs", "operator", "repo", "infra", "pull", "relay")
_THREADS_END_WITHIN_S = 10
_BODIES = "request bodies"
"One thread for the bodies of all requests of a process, which waits a few seconds for the next one."
_OF_GOOGLE = ("(_fetch_background)", "(_verify_existence_background)")
"A client of Google's that a test itself opens looks up its bucket on threads that cannot be joined."


def pytest_xdist_auto_num_workers() -> int:
    """Use two workers more than there are processors: tests of other processes and of deadlines mostly wait."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the folders with the longest files first: at the end, one of these would leave the other workers idle."""
    items.sort(key=lambda item: _place(item.path.relative_to(_TESTS).parts[0]))


def _place(folder: str) -> int:
    return _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """Spare the garbage collector the modules and thousands of tests, which it would look through again and again."""
    gc.collect()
    gc.freeze()
    result = yield
    gc.unfreeze()
    return result


@pytest.fixture(scope="session")
def addresses() -> Iterator[dict[str, str]]:
    """The functions behind functions-framework, on a port of this machine."""
    with function_server.serve_functions(names=None) as addresses:
        yield addresses


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The sandbox's servers, on ports of this machine."""
    with Servers() as servers:
        yield servers


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """Restore what a test may change for its whole process: the instance, the log's level, which lines are logged."""
    root = logging.getLogger()
    before, level = instance.current, root.level
    yield
    instance.current = before
    root.setLevel(level)
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test() -> Iterator[None]:
    """Fail with the names of the threads that a test leaves running, except those of shared servers."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if not (thread in before or outlives_by_design(before, thread))]
    deadline_s = time.monotonic() + _THREADS_END_WITHIN_S
    for thread in left:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    assert [thread.name for thread in left if thread.is_alive()] == []


def outlives_by_design(before: set[threading.Thread], thread: threading.Thread) -> bool:
    """A shared server, or a connection of a server that served before the test began."""

    def server_of(thread: threading.Thread) -> object:
        return getattr(getattr(thread, "_target", None), "__self__", None)

    server = server_of(thread)
    is_shared = thread.name.startswith((SHARED, _BODIES)) or thread.name.endswith(_OF_GOOGLE)
    return is_shared or (server is not None and server in map(server_of, before))


@pytest.fixture
def world(
    tmp_path: Path, servers: Servers, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    with open_world(tmp_path, servers, addresses, monkeypatch) as world:
        yield world


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    """Calls of functions that can be killed."""
    with closing(Processes()) as processes:
        yield processes
