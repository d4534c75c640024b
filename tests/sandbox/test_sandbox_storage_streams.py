"""Content of any size is processed in constant memory, and an incomplete upload leaves nothing behind."""

import contextlib
import gc
import os
import resource
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from google.api_core import exceptions

from tests.support.storage_client import Running, files_in, running

BLOCK = os.urandom(1024 * 1024)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as cloud:
        yield cloud


@pytest.mark.long
def test_a_large_object_is_written_and_read_in_constant_memory(cloud: Running) -> None:
    description = b'--b\r\nContent-Type: application/json\r\n\r\n{"name": "related"}\r\n--b\r\n\r\n'
    uploads = {
        "media": (b"", b"", "text/csv"),
        "multipart": (description, b"\r\n--b--", "multipart/related; boundary=b"),
    }
    gc.collect()
    tracemalloc.start()
    try:
        for kind, (start, end, content_type) in uploads.items():
            query = {"uploadType": kind} | ({"name": "media"} if kind == "media" else {})
            body = _around(start, end, 64)
            answer = requests.post(
                cloud.objects_url, params=query, data=body, headers={"Content-Type": content_type}, timeout=60
            )
            assert int(answer.json()["size"]) == 64 * len(BLOCK)
        url = f"{cloud.server.url}/download/storage/v1/b/bucket/o/related"
        with requests.get(url, stream=True, timeout=60) as answer:
            assert all(piece == BLOCK for piece in answer.iter_content(len(BLOCK)))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 16 * len(BLOCK)


def test_a_boundary_split_across_two_reads_is_found(cloud: Running) -> None:
    start = b'--edge\r\nContent-Type: application/json\r\n\r\n{"name": "x"}\r\n--edge\r\nContent-Type: text/csv\r\n\r\n'
    headers = {"Content-Type": 'multipart/related; boundary="edge"'}
    for size in range(256 * 1024 - 130, 256 * 1024 - 90):
        body = start + BLOCK[:size] + b"\r\n--edge--"
        answer = requests.post(
            cloud.objects_url, params={"uploadType": "multipart"}, data=body, headers=headers, timeout=5
        )
        assert (answer.json()["size"], answer.json()["contentType"]) == (str(size), "text/csv")
    assert cloud.bucket.blob("x").download_as_bytes() == BLOCK[:size]


def test_gcsfs_sends_bare_line_feeds(cloud: Running) -> None:
    body = (
        b'--==0==\nContent-Type: application/json; charset=UTF-8\n\n{"name": "x"}\n--==0==\nContent-Type: text/csv\n\n'
    )
    headers = {"Content-Type": 'multipart/related; boundary="==0=="'}
    content = b"a,b\r\n1,2\n\n"
    answer = requests.post(
        cloud.objects_url,
        params={"uploadType": "multipart"},
        data=body + content + b"\n--==0==--",
        headers=headers,
        timeout=5,
    )
    assert (answer.json()["name"], answer.json()["contentType"]) == ("x", "text/csv")
    assert cloud.bucket.blob("x").download_as_bytes() == content


def test_an_upload_of_a_disconnected_client_leaves_nothing(cloud: Running, tmp_path: Path) -> None:
    host, port = cloud.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /upload/storage/v1/b/bucket/o?uploadType=media&name=half HTTP/1.1\r\n"
            b"Host: %s:%s\r\nContent-Length: 1000000\r\n\r\n" % (host.encode(), port.encode()) + BLOCK[:500_000]
        )
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    assert not cloud.bucket.blob("half").exists()
    assert (files_in(tmp_path / ".uploads"), files_in(tmp_path / ".objects")) == ({}, {})


def test_a_body_without_its_last_boundary_is_refused(cloud: Running, tmp_path: Path) -> None:
    body = b'--b\r\n\r\n{"name": "half"}\r\n--b\r\n\r\nsome rows'
    headers = {"Content-Type": "multipart/related; boundary=b"}
    answer = requests.post(cloud.objects_url, params={"uploadType": "multipart"}, data=body, headers=headers, timeout=5)
    assert answer.status_code == 400
    assert (files_in(tmp_path / ".uploads"), files_in(tmp_path / ".objects")) == ({}, {})


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Limit files to half a megabyte, to simulate a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_said_at_once_and_leaves_nothing(cloud: Running, tmp_path: Path) -> None:
    with pytest.raises(exceptions.GoogleAPICallError, match=f"507.*The disk with the folder {tmp_path} is full"):
        cloud.bucket.blob("whole").upload_from_string(BLOCK)
    with pytest.raises(exceptions.GoogleAPICallError, match="507"):
        cloud.bucket.blob("chunks", chunk_size=256 * 1024).upload_from_string(BLOCK * 9)
    assert list(cloud.bucket.list_blobs()) == []
    assert (files_in(tmp_path / ".uploads"), files_in(tmp_path / ".objects")) == ({}, {})
    cloud.bucket.blob("small").upload_from_string("fits")
    assert cloud.bucket.blob("small").download_as_text() == "fits"


def test_an_object_that_is_being_read_may_be_replaced(cloud: Running) -> None:
    cloud.bucket.blob("x").upload_from_string(BLOCK * 20)
    url = f"{cloud.server.url}/download/storage/v1/b/bucket/o/x"
    with requests.get(url, stream=True, timeout=5) as answer:
        pieces = answer.iter_content(len(BLOCK))
        assert next(pieces) == BLOCK
        cloud.bucket.blob("x").upload_from_string("new")
        assert b"".join(pieces) == BLOCK * 19


def _around(start: bytes, end: bytes, blocks: int) -> Iterator[bytes]:
    yield start
    for _ in range(blocks):
        yield BLOCK
    yield end
