"""A process that has a local bridge for itself for a moment lets no other command depend on it: they wait."""

import os
import threading
from pathlib import Path

import pytest

from common.platform.errors import OurFault
from local import state_folder
from local.assistant import opening
from local.commands.connection import ConfiguredBridge
from local.state_folder import StateServices


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the variables that a served folder sets."""
    for name in StateServices("", "").environment():
        monkeypatch.setenv(name, "before")


def test_a_command_waits_until_the_reader_has_ended_and_then_serves_itself(tmp_path: Path) -> None:
    served: list[str] = []

    def other_command() -> None:
        with state_folder.connect(tmp_path, {}) as services:
            served.append(services.storage)

    thread = threading.Thread(target=other_command)
    with state_folder.serve(tmp_path, {}, alone=True) as reader:
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(10)

    assert served
    assert served != [reader.storage]


def test_a_server_that_others_may_use_is_joined_at_once_by_a_reader(tmp_path: Path) -> None:
    with (
        state_folder.serve(tmp_path, {}) as server,
        state_folder.connect(tmp_path, {}, alone=True) as reader,
    ):
        assert reader == server


def test_a_second_server_is_refused_at_once(tmp_path: Path) -> None:
    with (
        state_folder.serve(tmp_path, {}),
        pytest.raises(OurFault, match="Another bridge uses the folder"),
        state_folder.serve(tmp_path, {}),
    ):
        pass


def test_addresses_that_a_killed_process_left_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "addresses.json").write_text("left")

    with state_folder.serve(tmp_path, {}, alone=True):
        assert not (tmp_path / "addresses.json").exists()


def test_an_assistant_reads_so_and_leaves_the_environment_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BRIDGE_BUCKET")
    before = dict(os.environ)
    with state_folder.serve(tmp_path, {}):
        pass
    for name in StateServices("", "").environment():
        monkeypatch.delenv(name, raising=False)

    with opening.looking_at(ConfiguredBridge(state=tmp_path)) as here:
        assert here.bucket.name == state_folder.BUCKET
        assert not (tmp_path / "addresses.json").exists()

    assert "BRIDGE_BUCKET" not in os.environ
    assert not opening.is_deployed()
    assert os.environ.keys() <= before.keys()
