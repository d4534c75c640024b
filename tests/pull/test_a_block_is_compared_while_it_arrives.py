"""A block is read from Pigment once. Its rows are compared while they arrive, and are in the bucket if they differ."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from common import bridge_yaml
from common.platform.errors import StreamCut
from common.tables import export_file
from local.sandbox.pigment import BlockColumn, RowEdit
from tests.support.equality import EndlessFile, compare_rows, ignore
from tests.support.read_back import AA, fill_list, read_back
from tests.support.world import CONFIGURATION, EXPORTS, HEADER, VIEW, World

STAGED = r"GET /.*staged"


@pytest.fixture
def block(world: World) -> str:
    world.storage_server.keep_bytes = 1
    return fill_list(world)


def reads_of_block(world: World) -> tuple[int, int]:
    """Return how often the block was exported, and its file read from the bucket."""
    exports = [each for each in world.pigment_server.exchanges if "/export/" in each.path]
    stored = [each.method for each in world.storage_server.exchanges if "tmp/" in unquote(each.path)]
    assert "DELETE" in stored
    return len(exports), stored.count("GET")


@pytest.mark.usefixtures("block")
def test_an_equal_block_is_not_read_from_the_bucket(world: World) -> None:
    assert world.run_pull("flights").receipt["verified"] == "equal"

    assert reads_of_block(world) == (1, 0)


@pytest.mark.usefixtures("block")
def test_a_block_that_differs_is_not_exported_again(world: World) -> None:
    world.pigment.edit_after_next(CONFIGURATION, RowEdit(AA))

    assert world.run_pull("flights").receipt["verified"] == "differs"

    exports, reads = reads_of_block(world)
    assert exports == 1
    assert reads > 0


@pytest.mark.parametrize("how", [{"cut_after_bytes": 100}, {"reset_after_bytes": 100}, {"reset_before": True}])
@pytest.mark.usefixtures("block")
def test_a_block_that_breaks_off_is_compared_from_its_beginning(world: World, how: dict[str, Any]) -> None:
    world.pigment_server.fault(EXPORTS, times=2, **how)

    receipt = world.run_pull("flights").receipt

    assert (receipt["verified"], receipt["verification"]) == ("equal", {"sent": 5, "block": 5})
    assert world.objects("tmp/") == []


def test_a_comparison_ends_with_the_time_budget(world: World) -> None:
    columns = [*(BlockColumn(name) for name in HEADER[:2]), BlockColumn(HEADER[2], "date", format="%d/%m/%Y")]
    block = fill_list(world, [*columns, BlockColumn(HEADER[3], "integer")], unique=HEADER[:2])
    read_back(world, block, {"key": HEADER[:2], "day_first": True})
    world.put_flights([["2013-01-01", "UA", "03/04/2013", "2"]])
    # Three readings are over before the block is there: of the header, of the first rows, and of all rows. The fourth
    # is for the block, whose dates look otherwise. By then, the small block has arrived.
    world.storage_server.fault(STAGED, after=3, act=lambda: world.clock.advance(3600))

    receipt = world.run_pull("flights").receipt

    assert (receipt["outcome"], receipt["verified"]) == ("landed", "not_yet")
    assert world.run_deliver().status == 200
    assert world.receipts()[-1]["verified"] == "equal"


@pytest.mark.usefixtures("block")
def test_rows_that_arrive_are_counted_once(world: World) -> None:
    # Two counts that take turns on one line of a terminal show neither, and no rate.
    counted: set[str] = set()
    world.instance.progress = lambda what, _: counted.add(what)

    assert world.run_pull("flights").receipt["verified"] == "equal"

    assert counted == {"rows read", "bytes sent"}


def test_a_block_is_stored_whole_whatever_is_read_of_it(world: World) -> None:
    content = b"Id\n" + b"".join(b"%d\n" % number for number in range(500_000))
    source = bridge_yaml.ViewSource(view=VIEW, delimiter=",")

    class WholeExport:
        proves_its_end = True

        def blocks(self) -> Iterator[bytes]:
            return (content[begin : begin + 100_000] for begin in range(0, len(content), 100_000))

        def stop(self) -> None:
            raise AssertionError

    job = bridge_yaml.Export(name="block", source=source, path="")
    arriving = export_file.ArrivingExport(WholeExport(), source, job, ignore)
    file, found = export_file.write_while_read(world.bucket, "a-run", arriving, lambda csv: csv.header)

    assert (arriving.checked.rows, found) == (500_000, ["Id"])
    assert world.bucket.read(file.path) == content


def test_a_long_file_is_not_read_to_its_end_for_a_block_that_breaks_off() -> None:
    file = EndlessFile()

    def broken() -> Iterator[bytes]:
        yield b"Id\n1\n"
        assert file.has_begun.wait(60)
        raise StreamCut("The answer broke off.")

    with pytest.raises(StreamCut):
        compare_rows(file, broken())

    assert not file.is_read_whole
