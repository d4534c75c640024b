"""A bucket is visible on disk as plain files, and no name escapes its folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api_core import exceptions

from tests.support.storage_client import Running, files_in, running


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "state") as cloud:
        yield cloud


def test_each_live_object_is_a_file_under_its_own_name(cloud: Running, tmp_path: Path) -> None:
    for name, content in {"staged/flights/1.csv": "a", "été 50%.csv": "b", "gone": "c"}.items():
        cloud.bucket.blob(name).upload_from_string(content)
    cloud.bucket.blob("staged/flights/1.csv").upload_from_string("A")
    cloud.bucket.blob("gone").delete()
    assert files_in(tmp_path / "state" / "bucket") == {"staged/flights/1.csv": b"A", "été 50%.csv": b"b"}


def test_a_file_needs_no_extra_disk_space(cloud: Running, tmp_path: Path) -> None:
    cloud.bucket.blob("a").upload_from_string("x")
    cloud.bucket.copy_blob(cloud.bucket.blob("a"), cloud.bucket, "b")
    first, second = ((tmp_path / "state" / "bucket" / name).stat() for name in ("a", "b"))
    assert first.st_ino == second.st_ino


def test_a_folder_is_removed_with_its_last_object(cloud: Running, tmp_path: Path) -> None:
    cloud.bucket.blob("inbox/relay/1").upload_from_string("x")
    cloud.bucket.move_blob(cloud.bucket.blob("inbox/relay/1"), "delivered/1")
    assert [path.name for path in (tmp_path / "state" / "bucket").iterdir()] == ["delivered"]


@pytest.mark.parametrize(
    "name",
    [
        "../../escaped",
        "a/../../../escaped",
        "/etc/escaped",
        "a//b",
        "folder/",
        "a/./b",
        "nul\0byte",
        "long/" + "x" * 300,
    ],
)
def test_an_object_with_an_invalid_file_name_is_stored_but_not_shown(cloud: Running, tmp_path: Path, name: str) -> None:
    cloud.bucket.blob(name).upload_from_string("content")
    assert cloud.bucket.blob(name).download_as_text() == "content"
    assert [blob.name for blob in cloud.client.list_blobs("bucket")] == [name]
    assert files_in(tmp_path / "state" / "bucket") == {}
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    cloud.bucket.blob(name).delete()


def test_an_object_and_a_folder_of_the_same_name_are_both_stored(cloud: Running, tmp_path: Path) -> None:
    cloud.bucket.blob("a").upload_from_string("file")
    cloud.bucket.blob("a/b").upload_from_string("inside")
    cloud.bucket.blob("c/d").upload_from_string("inside")
    cloud.bucket.blob("c").upload_from_string("file")
    assert cloud.bucket.blob("a/b").download_as_text() == "inside"
    assert cloud.bucket.blob("c").download_as_text() == "file"
    assert files_in(tmp_path / "state" / "bucket") == {"a": b"file", "c/d": b"inside"}


NAMES = ["..", ".", "line\nbreak", "carriage\rreturn", "x" * 1025, "é" * 513, ".well-known/acme-challenge/x"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_google_refuses_is_refused(cloud: Running, name: str) -> None:
    with pytest.raises(exceptions.BadRequest):
        cloud.bucket.blob(name).upload_from_string("x")


def test_files_of_a_person_stay_and_changed_files_are_repaired(tmp_path: Path) -> None:
    with running(tmp_path) as cloud:
        for name in ("mine", "lost"):
            cloud.bucket.blob(name).upload_from_string("truth")
    note, changed, lost = (tmp_path / "bucket" / name for name in ("note.txt", "mine", "lost"))
    note.write_text("a person's own")
    changed.unlink()
    changed.write_text("edited")
    lost.unlink()
    with running(tmp_path):
        assert (note.read_text(), changed.read_text(), lost.read_text()) == ("a person's own", "truth", "truth")
