"""What was sent is read again while Pigment imports it: when the block is exported, half of the comparison is done."""

import threading
from typing import Any
from urllib.parse import unquote

import pytest

from common.tables.compare.background import Background
from common.tables.equality.comparing import BlockComparison
from common.tables.equality.result import Pairing, SentFile
from local.sandbox.pigment import BlockColumn
from tests.support.equality import EndlessFile, ignore
from tests.support.read_back import KEY, fill_list, read_back
from tests.support.world import CONFIGURATION, HEADER, STATUS, World

STAGED = r"GET /download/.*staged"
PATIENCE_S = 10.0
FOR_HEADER_AND_FORMS = 2
"Readings of a file before its rows are read."


@pytest.fixture
def block(world: World) -> str:
    world.storage_server.keep_bytes = 1
    return fill_list(world)


def reads_of_files(world: World) -> list[tuple[str, str, int]]:
    """Return the folder, the range and the status of each reading of a file that was sent, or of the block's."""
    reads = [each for each in world.storage_server.exchanges if each.method == "GET"]
    places = [(unquote(each.path).partition("/o/")[2].split("/")[0], each) for each in reads]
    return [
        (folder, each.headers.get("Range", "all"), each.status)
        for folder, each in places
        if folder in ("staged", "tmp") and "/download/" in each.path
    ]


def folders_of(reads: list[tuple[str, str, int]]) -> list[str]:
    return [folder for folder, _, _ in reads]


def nothing_is_read() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("reading again")]


@pytest.mark.usefixtures("block")
def test_the_file_has_been_read_when_pigment_has_imported_it(world: World) -> None:
    was_read = threading.Event()
    in_time: list[bool] = []
    world.storage_server.fault(STAGED, after=FOR_HEADER_AND_FORMS, then=was_read.set)
    world.pigment_server.fault(STATUS, act=lambda: in_time.append(was_read.wait(PATIENCE_S)))

    receipt = world.run_pull("flights").receipt

    assert (in_time, receipt["verified"]) == ([True], "equal")
    reads = reads_of_files(world)
    assert folders_of(reads) == ["staged"] * (FOR_HEADER_AND_FORMS + 1), reads
    assert nothing_is_read()


def test_a_file_whose_cells_the_block_shows_otherwise_is_read_once_more(world: World) -> None:
    world.storage_server.keep_bytes = 1
    columns = [*(BlockColumn(name) for name in KEY[:2]), BlockColumn(KEY[2], "date", format="%d/%m/%Y")]
    block = fill_list(world, [*columns, BlockColumn(HEADER[3], "integer")], unique=KEY[:2])
    read_back(world, block, {"key": KEY[:2], "day_first": True})
    world.put_flights([["2013-01-01", "UA", "03/04/2013", "2"], ["2013-01-02", "AA", "12/11/2013", "3"]])

    assert world.run_pull("flights").receipt["verified"] == "equal"

    # The block's rows are not matched.
    reads = reads_of_files(world)
    assert folders_of(reads) == ["staged"] * (FOR_HEADER_AND_FORMS + 2), reads


@pytest.mark.usefixtures("block")
def test_an_import_that_fails_ends_the_reading(world: World) -> None:
    world.pigment.fail_next(CONFIGURATION, "DuplicateItems", "Two rows share an identifier")

    assert world.run_pull("flights").code == "import_failed"

    assert nothing_is_read()


@pytest.mark.usefixtures("block")
def test_an_import_that_takes_longer_than_the_call_ends_the_reading(world: World) -> None:
    world.pause_imports()

    receipt = world.run_pull("flights").receipt
    world.resume_imports()

    assert (receipt["outcome"], receipt["verified"]) == ("importing", "not_yet")
    assert nothing_is_read()


class Stall:
    """Cloud Storage does not answer the first reading of the file until it is released."""

    def __init__(self, world: World) -> None:
        self._has_begun, self._is_released, self._has_ended = (threading.Event() for _ in range(3))
        self._was_released = False
        world.storage_server.fault(STAGED, act=self._hold)
        world.pigment_server.fault(STATUS, act=lambda: self._has_begun.wait(PATIENCE_S))

    def _hold(self) -> None:
        self._has_begun.set()
        self._was_released = self._is_released.wait(PATIENCE_S)
        self._has_ended.set()

    def lasts(self) -> bool:
        """Release it, and return whether it lasted until then."""
        self._is_released.set()
        return self._has_ended.wait(PATIENCE_S) and self._was_released


@pytest.mark.usefixtures("block")
def test_a_run_whose_import_fails_does_not_wait_for_cloud_storage(world: World) -> None:
    stall = Stall(world)
    world.pigment.fail_next(CONFIGURATION, "DuplicateItems", "Two rows share an identifier")

    assert world.run_pull("flights").code == "import_failed"

    assert stall.lasts()


@pytest.mark.usefixtures("block")
def test_a_call_that_ends_before_the_import_does_not_wait_for_cloud_storage(world: World) -> None:
    stall = Stall(world)
    world.pause_imports()

    receipt = world.run_pull("flights").receipt

    assert stall.lasts()
    world.resume_imports()
    assert receipt["outcome"] == "importing"


@pytest.mark.usefixtures("block")
def test_a_file_that_could_not_be_read_meanwhile_is_read_again(world: World) -> None:
    kept: dict[str, bytes] = {}
    has_failed = threading.Event()

    def take_away() -> None:
        (path,) = world.objects("staged/flights/")
        kept[path] = world.bucket.read(path)
        world.bucket.delete(path)

    def bring_back() -> None:
        assert has_failed.wait(PATIENCE_S)
        for path, content in kept.items():
            world.bucket.create(path, content, {}, content_type="text/csv")

    world.storage_server.fault(STAGED, act=take_away, then=has_failed.set)
    world.pigment_server.fault(STATUS, act=bring_back)

    assert world.run_pull("flights").receipt["verified"] == "equal"


@pytest.mark.usefixtures("block")
def test_a_file_that_is_gone_meanwhile_leaves_the_landing_as_it_is(world: World) -> None:
    def delete() -> None:
        (staged,) = world.objects("staged/flights/")
        world.bucket.delete(staged)

    world.storage_server.fault(STAGED, act=delete)

    receipt = world.run_pull("flights").receipt

    assert (receipt["outcome"], receipt["verified"]) == ("landed", "impossible")
    assert "staged/flights/" in receipt["warnings"][-1]
    assert nothing_is_read()


def test_nobody_waits_for_a_long_file_once_the_run_has_ended() -> None:
    bucket: Any = EndlessFile()
    comparison = BlockComparison(bucket, [SentFile("sent", ",")], Pairing(["Id"]))

    with Background("reading again", comparison.read_ahead, ignore) as ahead:
        ahead.begin()
        assert bucket.has_begun.wait(PATIENCE_S)

    assert not bucket.is_read_whole
