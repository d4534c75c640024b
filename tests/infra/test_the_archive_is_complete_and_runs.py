"""The archive: entry files, `common` and pinned requirements, reproducible bytes; and it runs by itself."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.world import WEBHOOK_TOKEN, World, delivery

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
ENTRY_POINTS = ("looker_pull", "pigment_export", "webhook_deliver", "webhook_receive")


def write(archive: Path, root: Path = ROOT) -> str:
    """Run infra/archive.py on a Python without packages, and return the digest that it prints."""
    script = root / "infra" / "archive.py"
    ran = subprocess.run([sys.executable, "-I", "-S", script, archive], capture_output=True, text=True, check=True)
    return ran.stdout.split()[0]


def names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as zipped:
        return zipped.namelist()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Copy the sources to another folder, with other times and permissions."""
    for part in ("functions/common", "infra"):
        shutil.copytree(ROOT / part, tmp_path / part, copy_function=shutil.copyfile)
    for file in [*FUNCTIONS.glob("*.py"), FUNCTIONS / "requirements.txt"]:
        shutil.copyfile(file, tmp_path / "functions" / file.name)
    for file in (tmp_path / "functions").rglob("*"):
        if file.is_file():
            os.utime(file, (1, 1_000_000_000))
            file.chmod(0o700)
    return tmp_path


def test_it_contains_exactly_the_entry_files_common_and_the_requirements(tmp_path: Path) -> None:
    write(tmp_path / "functions.zip")

    held = names(tmp_path / "functions.zip")

    assert {name for name in held if "/" not in name} == {
        *(f"{entry}.py" for entry in ENTRY_POINTS),
        "requirements.txt",
    }
    assert {name.split("/")[0] for name in held if "/" in name} == {"common"}
    assert {name for name in held if "/" in name} == {
        file.relative_to(FUNCTIONS).as_posix() for file in (FUNCTIONS / "common").rglob("*.py")
    }


def test_its_files_are_unchanged(tmp_path: Path) -> None:
    write(tmp_path / "functions.zip")

    with zipfile.ZipFile(tmp_path / "functions.zip") as zipped:
        assert all(zipped.read(name) == (FUNCTIONS / name).read_bytes() for name in zipped.namelist())


def test_times_and_permissions_are_fixed(tmp_path: Path, copied: Path) -> None:
    write(tmp_path / "functions.zip", copied)

    with zipfile.ZipFile(tmp_path / "functions.zip") as zipped:
        entries = zipped.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {(entry.create_system, entry.external_attr >> 16) for entry in entries} == {(3, 0o100644)}


def test_the_same_files_give_the_same_bytes(tmp_path: Path, copied: Path) -> None:
    first = write(tmp_path / "a" / "functions.zip")
    again = write(tmp_path / "b.zip", copied)

    assert first == again == hashlib.sha256((tmp_path / "b.zip").read_bytes()).hexdigest()


def test_caches_and_other_local_files_are_left_out(tmp_path: Path, copied: Path) -> None:
    before = write(tmp_path / "functions.zip", copied)
    for leftover in (
        "common/__pycache__/log.cpython-313.pyc",
        "common/.log.py.swp",
        "common/.cache/a.json",
        "local/cli.py",
    ):
        file = copied / "functions" / leftover
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"left")

    assert write(tmp_path / "functions.zip", copied) == before


def test_a_changed_file_gives_other_bytes(tmp_path: Path, copied: Path) -> None:
    before = write(tmp_path / "functions.zip", copied)
    with (copied / "functions" / "requirements.txt").open("a") as file:
        file.write("\n")

    assert write(tmp_path / "functions.zip", copied) != before


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the archive, beside an interpreter with only the packages of its requirements.txt."""
    folder = tmp_path_factory.mktemp("installed")
    write(folder / "functions.zip")
    shutil.unpack_archive(folder / "functions.zip", folder / "source")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # As the buildpack does, but stricter: a package without a hash is refused.
    subprocess.run([*pip, "--require-hashes", "-r", str(folder / "source" / "requirements.txt")], check=True)
    return folder


@contextmanager
def served(entry: str, installed: Path, world: World) -> Iterator[str]:
    """Start a function as its container does, and yield its address."""
    environment = {
        "PATH": os.environ["PATH"],
        "FUNCTION_SOURCE": f"{entry}.py",
        "FUNCTION_TARGET": entry,
        "FUNCTION_SIGNATURE_TYPE": "http",
        "GUNICORN_LOG_LEVEL": "info",  # logs its address
        **world.environment(),
    }
    process = subprocess.Popen(
        [installed / "venv" / "bin" / "functions-framework", "--host", "127.0.0.1", "--port", "0"],
        cwd=installed / "source",
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield _address(process)
    finally:
        process.terminate()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if listening := re.search(r"Listening at: (http://\S+)", line):
            return listening[1]
    pytest.fail("".join(said))


@pytest.mark.slow
def test_a_pull_lands(world: World, installed: Path) -> None:
    with served("looker_pull", installed, world) as address:
        answer = requests.post(address, json={"job": "flights"}, timeout=60)

    assert (answer.status_code, answer.json()["outcome"]) == (200, "landed")
    assert len(world.landed_rows()) == answer.json()["rows"]["read"] == 5


@pytest.mark.slow
@pytest.mark.parametrize("fields", [{}, {"format": "parquet", "path": "revenue.parquet"}], ids=["csv", "parquet"])
def test_an_export_is_published(world: World, installed: Path, fields: dict[str, str]) -> None:
    world.add_export(**fields)
    world.answer_exports(b"Id;Amount\n1;2\n")

    with served("pigment_export", installed, world) as address:
        answer = requests.post(address, json={"job": "revenue"}, timeout=60)

    assert (answer.status_code, answer.json().get("outcome")) == (200, "published"), answer.text
    assert len(world.objects("exports/")) == 1


@pytest.mark.slow
def test_a_delivery_is_received_and_landed(world: World, installed: Path) -> None:
    world.add_relay("sales")

    with served("webhook_receive", installed, world) as address:
        headers = {"X-Looker-Webhook-Token": WEBHOOK_TOKEN}
        received = requests.post(f"{address}/sales", data=delivery(("1", "2")), headers=headers, timeout=60)
    with served("webhook_deliver", installed, world) as address:
        delivered = requests.post(address, timeout=60)

    assert received.json()["looker"]["success"] is True
    assert (delivered.status_code, delivered.json()["delivered"]) == (200, 1)


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_without_settings_it_names_the_missing_ones(
    entry: str, world: World, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "environment", dict)

    with served(entry, installed, world) as address:
        answer = requests.post(
            f"{address}/sales" if entry == "webhook_receive" else address, json={"job": "flights"}, timeout=60
        )

    assert "BRIDGE_BUCKET" in answer.text
