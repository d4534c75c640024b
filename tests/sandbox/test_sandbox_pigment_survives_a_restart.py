"""With a root folder, a restart keeps keys, objects, rows and imports, and completes open imports."""

from pathlib import Path

from tests.support.pigment_caller import called

FLIGHTS = "Id,Origin\n1,JFK\n"


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    with called(tmp_path) as first:
        configuration = first.flights()
        pushed = first.imported(configuration, FLIGHTS)
        first.imported(configuration, "nothing that fits\n")
        imports = first.pigment.imports
    with called(tmp_path) as second:
        second.key = first.key
        assert second.pigment.imports == imports
        assert second.pigment.rows(configuration) == [{"Id": "1", "Origin": "JFK"}]
        assert second.pigment.received(pushed.id).read_text() == FLIGHTS
        assert second.status(pushed.id).json()["importStatus"] == "Completed"
        assert second.imported(configuration, FLIGHTS).status == "Completed"
        assert second.pigment.count(configuration) == 2


def test_a_repeated_declaration_changes_in_place(tmp_path: Path) -> None:
    uuid = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    for life in (1, 2):
        with called(tmp_path) as caller:
            assert caller.flights(uuid=uuid) == uuid
            caller.imported(uuid, FLIGHTS)
            assert len(caller.pigment.blocks()) == len(caller.pigment.configurations()) == 1
            assert caller.pigment.count(uuid) == life


def test_an_accepted_import_is_completed_after_a_restart(tmp_path: Path) -> None:
    with called(tmp_path) as first:
        configuration = first.flights()
        first.pigment.hold()
        import_id = first.push(configuration, FLIGHTS).json()["importId"]
    with called(tmp_path) as second:
        assert second.pigment.finished(import_id).status == "Completed"
        assert second.pigment.count(configuration) == 1


def test_no_key_is_stored_on_disk(tmp_path: Path) -> None:
    with called(tmp_path) as caller:
        key = caller.key
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and key.encode() in file.read_bytes()]
