"""A process killed at any point loses no acknowledged write and leaves no partial object."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.storage_client import client_of, files_in, running

pytestmark = pytest.mark.long

FUNCTIONS = Path(__file__).parents[2] / "functions"

SERVE = """
import sys, threading
from pathlib import Path
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import Server

site = SandboxStorage(Path(sys.argv[1]))
site.create_bucket("bucket")
with Server(site) as server:
    print(server.url, flush=True)
    threading.Event().wait()
"""

# A hook precedes every change to the disk and every statement of the database; the n-th one kills the process, which is
# a child for each line of input, so that the modules are imported once.
ACT_AND_DIE = """
import io, json, os, signal, sys
from pathlib import Path
from local.sandbox.storage import SandboxStorage
from local.sandbox.wire import StreamBody, Request

def call(method, path, body=b"", **query):
    headers = {"Content-Length": str(len(body))}
    query = {name: [value] for name, value in query.items()}
    return site.answer(Request(method, path, path, query, headers, StreamBody(io.BytesIO(body), headers, 0)))

def strike(event, _=None):
    global left
    if event in ("statement", "open", "os.link", "os.remove", "os.rename", "os.chmod", "os.mkdir", "os.rmdir"):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

for line in sys.stdin:
    root, act, left = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    site = SandboxStorage(Path(root))
    sys.addaudithook(strike)
    site._disk.database.set_trace_callback(lambda _: strike("statement"))
    if act == "overwrite":
        call("POST", "/upload/storage/v1/b/bucket/o", b"new", uploadType="media", name="folder/a")
    elif act == "delete":
        call("DELETE", "/storage/v1/b/bucket/o/folder%2Fa")
    elif act == "move":
        call("POST", "/storage/v1/b/bucket/o/folder%2Fa/moveTo/o/other%2Fb")
    os._exit(0)
"""

Killed = Callable[[Path, str, int], int]


@pytest.fixture
def killed() -> Iterator[Killed]:
    """Change a folder in a process that is killed at a step; return how it ended."""
    with subprocess.Popen(
        [sys.executable, "-c", ACT_AND_DIE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=FUNCTIONS
    ) as process:

        def kill(root: Path, act: str, step: int) -> int:
            assert process.stdin
            assert process.stdout
            process.stdin.write(json.dumps([str(root), act, step]) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield kill


OUTCOMES = {
    "overwrite": {"folder/a": b"new"},
    "delete": {},
    "move": {"other/b": b"old"},
}


@pytest.mark.parametrize(
    "act", [pytest.param(act, marks=[pytest.mark.slow] if act in ("overwrite", "delete") else []) for act in OUTCOMES]
)
def test_a_killed_change_is_complete_or_absent(tmp_path: Path, killed: Killed, act: str) -> None:
    before, after, seen = {"folder/a": b"old"}, OUTCOMES[act], []
    for step in range(100):
        root = tmp_path / str(step)
        with running(root) as cloud:
            cloud.bucket.blob("folder/a").upload_from_string(b"old")
        code = killed(root, act, step)
        with running(root) as cloud:
            found = {blob.name: blob.download_as_bytes() for blob in cloud.bucket.list_blobs()}
            assert found in (before, after)
            assert files_in(root / "bucket") == found
            assert sorted(files_in(root / ".objects").values()) == sorted(found.values())
            assert files_in(root / ".uploads") == {}
        seen.append(found)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert seen[0] == before
    assert seen[-1] == seen[-2] == after


def test_acknowledged_writes_survive_a_kill_under_load(tmp_path: Path) -> None:
    acknowledged: dict[str, bytes] = {}
    for life in range(3):
        with _serving(tmp_path) as (process, url):

            def write(writer: int, url: str = url, life: int = life) -> None:
                with requests.Session() as session, contextlib.suppress(requests.ConnectionError):
                    for number in range(10_000):
                        name = f"{writer}/{life}-{number}"
                        target = f"{url}/upload/storage/v1/b/bucket/o"
                        content = name.encode() * 1000
                        query = {"uploadType": "media", "name": name}
                        if session.post(target, params=query, data=content, timeout=10).status_code == 200:
                            acknowledged[name] = content
                        if writer == 0 and number == 40:
                            process.kill()

            with ThreadPoolExecutor(4) as writers:
                list(writers.map(write, range(4)))
    with running(tmp_path) as cloud:
        names = [blob.name for blob in cloud.bucket.list_blobs()]
        assert len(acknowledged) > 120
        assert acknowledged.keys() <= set(names)
        plain = files_in(tmp_path / "bucket")
        assert plain.keys() == set(names)
        assert all(content == name.encode() * 1000 for name, content in plain.items())


def test_a_session_continues_after_a_kill(tmp_path: Path) -> None:
    chunk = os.urandom(256 * 1024)
    query = {"uploadType": "resumable", "name": "long"}
    with _serving(tmp_path) as (process, url):
        begun = requests.post(f"{url}/upload/storage/v1/b/bucket/o", params=query, timeout=5)
        session = begun.headers["Location"].removeprefix(url)
        part = requests.put(url + session, chunk, headers={"Content-Range": f"bytes 0-{len(chunk) - 1}/*"}, timeout=5)
        assert part.status_code == 308
        process.kill()
    with _serving(tmp_path) as (_, url):
        asked = requests.put(url + session, headers={"Content-Range": "bytes */*"}, timeout=5)
        assert asked.headers["Range"] == f"bytes=0-{len(chunk) - 1}"
        size = 2 * len(chunk)
        ended = requests.put(
            url + session, chunk, headers={"Content-Range": f"bytes {len(chunk)}-{size - 1}/{size}"}, timeout=5
        )
        assert ended.status_code == 200
        with contextlib.closing(client_of(url)) as client:
            assert client.bucket("bucket").blob("long").download_as_bytes() == chunk * 2


def test_a_second_process_cannot_use_the_folder(tmp_path: Path) -> None:
    with running(tmp_path):
        second = _run(SERVE, tmp_path)
    assert second.returncode != 0
    assert "Another process is using the storage" in second.stderr


def _run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], check=False, capture_output=True, text=True, cwd=FUNCTIONS
    )


@contextlib.contextmanager
def _serving(root: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, root], stdout=subprocess.PIPE, text=True, cwd=FUNCTIONS
    ) as process:
        assert process.stdout
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()
