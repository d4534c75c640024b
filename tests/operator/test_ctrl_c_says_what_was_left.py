"""Ctrl-C ends a command with one line on what it left, and the run with a receipt and without its lease."""

import signal
import threading
from collections.abc import Iterator

import duckdb
import pytest

from common.runs.stopped import is_ctrl_c
from local.run_display import RunDisplay, progress_text
from tests.support.command_line import run, run_at_terminal, run_deployed
from tests.support.equality import EndlessFile, compare_rows
from tests.support.served import write_files
from tests.support.world import CONFIGURATION, EXPORTS, PULL_RUN, PUSH, STATUS, VIEW, World

pytestmark = pytest.mark.long

NOTHING = "Stopped. Nothing was sent.\n"
MAY_HAVE_IT = "Stopped. Pigment may have it; the next run asks.\n"


def press_ctrl_c() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


@pytest.fixture(autouse=True)
def default_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_while_rows_are_read(world: World) -> None:
    world.looker_server.fault(PULL_RUN, act=press_ctrl_c)

    result = run_deployed("pull", "flights")

    assert (result.status, result.output) == (130, "")
    assert result.errors.endswith(NOTHING)
    assert "run_interrupted: A person stopped the run (Ctrl-C) before it sent anything." in result.errors
    assert world.objects("leases/") == []
    assert world.run_pull("flights").receipt["rows"]["inserted"] == 5


def test_while_a_vendor_is_waited_for(world: World) -> None:
    world.looker_server.fault(".*login", times=-1, reset_before=True)
    world.clock.meanwhile = press_ctrl_c

    assert run_deployed("pull", "flights", clock=world.clock).errors.endswith(NOTHING)
    assert world.objects("leases/") == []


def test_before_a_run_begins(world: World) -> None:
    world.secrets_server.fault(".*", act=press_ctrl_c)

    result = run_deployed("pull", "flights")

    assert (result.status, result.errors) == (130, NOTHING)


@pytest.mark.parametrize("repeatable", [True, False])
def test_while_the_file_is_sent(world: World, repeatable: bool) -> None:
    world.raw["pulls"]["flights"]["target"]["repeatable"] = repeatable
    world.save_jobs()
    world.pigment_server.fault(PUSH, then=press_ctrl_c)

    result = run_deployed("pull", "flights")

    assert result.status == 130
    assert result.errors.endswith(MAY_HAVE_IT)
    listed = run_deployed("runs").output
    assert "A person stopped the run (Ctrl-C) while it sent its file." in " ".join(listed.split()) or not repeatable
    assert "unknown" in listed or "interrupted" in listed


def test_while_pigment_imports(world: World) -> None:
    world.pigment_server.fault(STATUS, act=press_ctrl_c)

    assert run_deployed("pull", "flights").errors.endswith(MAY_HAVE_IT)

    world.run_pull("flights")
    _, *listed = run_deployed("runs").output.splitlines()
    assert [line.split()[2] for line in listed] == ["landed"]


def test_a_preview_sends_nothing(world: World) -> None:
    world.looker_server.fault(PULL_RUN, act=press_ctrl_c)

    result = run_deployed("pull", "flights", "--preview")

    assert (result.status, result.errors) == (130, NOTHING)


def test_an_export(world: World) -> None:
    world.add_export("revenue")
    world.pigment_server.fault(EXPORTS, act=press_ctrl_c)

    assert run_deployed("export", "revenue").errors.endswith(NOTHING)


def test_an_export_as_parquet_does_not_wait_until_pigment_sends_more(world: World) -> None:
    stopped = threading.Event()

    def rows() -> Iterator[bytes]:
        yield b"Id\n" + b"1\n" * 1_000_000
        # Once they have arrived, the run waits for more of them.
        threading.Timer(1, press_ctrl_c).start()
        was_waited_for.append(not stopped.wait(10))

    was_waited_for: list[bool] = []
    world.add_export("revenue", format="parquet", path="r.parquet", source={"view": VIEW, "delimiter": ","})
    world.answer_exports(rows())

    assert run_deployed("export", "revenue").errors.endswith(NOTHING)
    assert not was_waited_for
    stopped.set()


def test_a_command_that_runs_nothing(world: World) -> None:
    write_files(world)
    world.looker_server.fault(".*login", act=press_ctrl_c)

    result = run(world, "looker", "GET", "/user")

    assert (result.status, result.errors) == (130, "Stopped.\n")


def test_the_cause_of_an_earlier_run_is_not_that_of_the_one_that_was_stopped(world: World) -> None:
    world.pigment_server.fault(PUSH, reset_after=True)
    world.run_pull("flights")
    world.pigment_server.fault(".*", act=press_ctrl_c)

    result = run_deployed("pull", "flights")

    assert "(Ctrl-C)" in result.errors or result.status == 1
    assert CONFIGURATION in str(world.objects("leases/"))


def test_a_terminal_shows_what_is_waited_for(world: World) -> None:
    write_files(world)
    world.looker_server.fault(".*login", times=2, reset_before=True)

    _, shown = run_at_terminal(world, "", "pull", "flights")

    assert "flights: attempt 2 of 7 in 1 s. Looker cannot be reached: the connection was" in shown
    assert "flights: attempt 3 of 7 in 1 s. Looker" in shown


def test_progress_has_rows_a_rate_and_the_time_left() -> None:
    assert progress_text("rows read", 12_000, 0, None) == "12,000 rows read"
    assert progress_text("rows read", 12_000, 4_000, None) == "12,000 rows read, 4,000/s"
    assert progress_text("rows read", 12_000, 4_000, 52_000) == "12,000 rows read, 4,000/s, about 10 s left"
    assert progress_text("rows read", 12_000, 4_000, 11_000) == "12,000 rows read, 4,000/s"
    assert progress_text("bytes sent", 3_500_000, 1e6, 603_500_000) == "3.5 MB sent, 1.0 MB/s, about 10 min left"


def test_the_rate_is_that_of_the_step() -> None:
    lines: list[str] = []
    now_s = iter([0.0, 2.0, 100.0, 104.0])
    display = RunDisplay("flights", lines.append, lambda: next(now_s))
    display.expect("rows read", 1_000)
    for what, count in (("rows read", 0), ("rows read", 200), ("bytes sent", 0), ("bytes sent", 4_000_000)):
        display.count(what, count)
    assert lines == [
        "flights: 0 rows read",
        "flights: 200 rows read, 100/s, about 8 s left",
        "flights: 0.0 MB sent",
        "flights: 4.0 MB sent, 1.0 MB/s",
    ]


def test_during_a_query_of_duckdb() -> None:
    """DuckDB, which compares files, does not raise KeyboardInterrupt."""
    # With one thread, that of Python runs the query and sees the signal; and the query ends by itself at some time.
    with duckdb.connect(config={"threads": 1}) as database:
        threading.Timer(0.2, press_ctrl_c).start()
        with pytest.raises((RuntimeError, KeyboardInterrupt)) as caught:
            database.execute("SELECT sum(a.range * b.range) FROM range(3000000) a, range(3000) b")

    assert is_ctrl_c(caught.value)


def test_while_a_file_is_longer_than_its_block() -> None:
    file = EndlessFile()

    def whole() -> Iterator[bytes]:
        yield b"Id\n1\n"
        assert file.has_begun.wait(60)
        threading.Timer(0.1, press_ctrl_c).start()

    with pytest.raises((RuntimeError, KeyboardInterrupt)) as caught:
        compare_rows(file, whole())

    assert is_ctrl_c(caught.value)
    assert not file.is_read_whole
