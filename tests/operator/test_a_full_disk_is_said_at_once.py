"""A full disk of a bridge on this machine is named with its folder, and costs neither time nor rows."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.command_line import run, run_deployed
from tests.support.served import write_files
from tests.support.world import ROWS, World

LIMIT_BYTES = 512 * 1024
AT_ONCE_S = 5


@contextmanager
def full_disk(limit_bytes: int = LIMIT_BYTES) -> Iterator[None]:
    """Let no file of this process grow beyond a limit: the error is of the same kind as that of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_run_names_the_folder_and_the_next_one_lands(world: World) -> None:
    world.put_flights([["2013-01-01", "x" * 1000, "MDW", str(number)] for number in range(1500)])
    began_s = time.monotonic()
    with full_disk():
        answer = world.run_pull("flights")
    assert time.monotonic() - began_s < AT_ONCE_S

    assert (answer.status, answer.code) == (503, "disk_full")
    assert answer.error["message"] == f"The disk with the folder {world.folder / 'state'} is full or cannot be written."
    assert answer.receipt["rows"]["sent"] is None
    assert world.imports == []
    world.put_flights(ROWS)
    assert world.run_pull("flights").receipt["outcome"] == "landed"


def test_a_delivery_is_not_acknowledged(world: World) -> None:
    world.add_relay("sales")
    row = '{"attachment": {"mimetype": "text/csv", "extension": "csv", "data": "Id,Amount\\n1,%s\\n"}}' % (
        "1" * 900_000
    )

    with full_disk():
        answer = world.post_delivery("sales", row.encode())

    assert answer.status == 503
    assert world.objects("inbox/") == []


def test_a_command_on_a_full_disk_says_so(world: World) -> None:
    write_files(world)

    with full_disk(0):
        answer = run(world, "pull", "flights")

    assert (answer.status, answer.output) == (1, "")
    assert answer.errors.splitlines()[:2] == [
        "error: disk_full",
        "The disk with the folder home is full or cannot be written.",
    ]


def test_what_is_stored_can_be_read_on_a_full_disk(world: World) -> None:
    world.run_pull("flights")

    with full_disk(0):
        answer = run_deployed("runs")

    assert "landed" in answer.output
