"""The package is built as a wheel and installed, and its commands run in an empty folder outside of the checkout."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import requests

from tests.support import documents
from tests.support.documents import README, ROOT
from tests.support.world import LOOKER_SECRET, PIGMENT_KEY, World

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what the package is built from to a folder of its own: a build leaves files there."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(
        ROOT / "functions", source / "functions", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    """Build the wheel from the source archive, as `python -m build` does."""
    built = subprocess.run([sys.executable, "-m", "build"], cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = (source / "dist").glob("*.whl")
    return found


def install(package: Path, folder: Path, extras: str = "") -> Path:
    """Install a wheel, or a source folder, where no other package is; return the folder of its programs."""
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), f"{package}{extras}"],
    ):
        # The folder is an environment of its own, whatever environment the tests run in.
        subprocess.run([Path(sys.executable).parent / "uv", *command], check=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("installed") / "venv", "[local]")


def environment(world: World) -> dict[str, str]:
    """Return the environment of a person who has neither the checkout nor a deployed bridge."""
    names = os.environ.keys() - world.environment().keys() - {"PYTHONPATH", "VIRTUAL_ENV"}
    return {name: os.environ[name] for name in names}


def run(world: World, programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [programs / "bridge", *arguments],
        cwd=world.folder,
        env=environment(world),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def newcomer(world: World) -> World:
    """Return a folder with the README's `bridge.yaml` and `.env`; only addresses and secret values differ."""
    text = README.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    looker = documents.examples(README)["looker"]["url"]
    text = text.replace(looker, world.looker_server.url)
    text = text.replace("pigment:\n", f"pigment:\n  url: {world.pigment_server.url}\n")
    (world.folder / "bridge.yaml").write_text(text)
    credentials = json.dumps({"client_id": "bridge", "client_secret": LOOKER_SECRET})
    (world.folder / ".env").write_text(f"looker-api={credentials}\npigment-import-key={PIGMENT_KEY}\n")
    return world


def test_the_version_is_semantic_and_stands_in_one_place() -> None:
    assert SEMANTIC.fullmatch(PROJECT["version"])
    elsewhere = [*(ROOT / "functions").rglob("*.py"), ROOT / "Makefile", ROOT / "README.md"]
    assert [file for file in elsewhere if f'"{PROJECT["version"]}"' in file.read_text(encoding="utf-8")] == []


@pytest.mark.slow
def test_the_wheel_has_the_functions_and_the_command_line_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as zipped:
        names = {name for name in zipped.namelist() if ".dist-info/" not in name}

    source = ROOT / "functions"
    assert names == {file.relative_to(source).as_posix() for file in source.rglob("*.py")}


@pytest.mark.slow
def test_the_installed_command_tells_the_version_of_the_project(world: World, programs: Path) -> None:
    ran = run(world, programs, "--version")

    assert ran.stdout.startswith(f"bridge {PROJECT['version']}, Python 3.")


@pytest.mark.slow
def test_the_installed_commands_check_and_run_a_job(newcomer: World, programs: Path) -> None:
    for arguments, said in (
        (["--help"], "Usage: bridge"),
        (["check", "--offline"], "green"),
        (["check"], "green"),
        (["pull", "flights"], "landed"),
        (["runs"], "landed"),
        (["errors"], "landing_unknown"),
        (["resources"], "dashboards"),
    ):
        ran = run(newcomer, programs, *arguments)
        assert (ran.returncode, ran.stderr) == (0, ""), arguments
        assert said in ran.stdout, arguments
    assert len(newcomer.landed_rows()) == 5


@pytest.mark.slow
def test_the_installed_sandbox_serves_a_bridge(world: World, programs: Path) -> None:
    ran = run(world, programs, "demo")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "336,776 rows, all as they were sent" in ran.stdout


@pytest.mark.slow
def test_the_installed_functions_are_served(newcomer: World, programs: Path) -> None:
    with subprocess.Popen(
        [programs / "bridge", "serve", "--port", "0"],
        cwd=newcomer.folder,
        env=environment(newcomer),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as serving:
        assert serving.stdout
        addresses = json.loads(serving.stdout.readline())
        pulled = requests.post(addresses["pull"], json={"job": "flights"}, timeout=60)
        serving.send_signal(signal.SIGINT)

    assert pulled.json()["outcome"] == "landed", pulled.text
    assert serving.returncode == 0


@pytest.mark.slow
def test_without_the_extra_of_an_assistant_its_command_says_how_to_install_it(world: World, programs: Path) -> None:
    ran = run(world, programs, "mcp")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "pipx install --force '.[local,mcp]'" in ran.stderr


@pytest.mark.slow
def test_from_its_folder_without_the_extra_the_command_says_how_to_install_it(
    world: World, source: Path, tmp_path: Path
) -> None:
    ran = run(world, install(source, tmp_path / "venv"), "--help")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "pipx install --force '.[local]'" in ran.stderr
    assert "Traceback" not in ran.stderr
