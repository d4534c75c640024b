"""`make matrix` runs the suite on each Python that the package is made for, and says which ones are not installed."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support import interpreters
from tests.support.interpreters import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OTHERS = [version for version in interpreters.versions() if version != interpreters.version_of_the_suite()]

MAKE = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in *"$FAILS"*) exit 2 ;; esac
"""


def add_program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)
    return folder / name


def add_python(folder: Path, version: str) -> Path:
    return add_program(folder, f"python{version}", f"#!/bin/sh\necho Python {version}.7\n")


def matrix(tmp_path: Path, *tests: str, fails: str = "nothing") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the matrix with the interpreters in `bin`; return what it said, and the calls of `make`."""
    calls = tmp_path / "calls"
    add_program(tmp_path / "bin", "make", MAKE)
    path = f"{tmp_path / 'bin'}:/nowhere"
    ran = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "interpreters.py", *tests],
        env={"PATH": path, "HOME": str(tmp_path), "CALLS": str(calls), "FAILS": fails},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran, calls.read_text().splitlines() if calls.exists() else []


def test_each_python_that_is_installed_runs_the_suite_and_the_others_are_named(tmp_path: Path) -> None:
    here, *missing = OTHERS
    python = add_python(tmp_path / "bin", here)

    ran, calls = matrix(tmp_path, "tests/pull", "tests/relay")

    assert calls == [f"test VENV=.venv-{here} PYTHON={python} TESTS=tests/pull tests/relay"]
    assert f"Python {here} passed\n" in ran.stdout
    assert all(f"Python {version} is not installed: nothing was run\n" in ran.stdout for version in missing)
    assert ran.returncode == 0


def test_a_failure_on_one_python_fails_the_matrix_after_the_others_have_run(tmp_path: Path) -> None:
    for version in OTHERS:
        add_python(tmp_path / "bin", version)

    ran, calls = matrix(tmp_path, fails=f"VENV=.venv-{OTHERS[0]} ")

    assert len(calls) == len(OTHERS)
    assert f"Python {OTHERS[0]} FAILED\n" in ran.stdout
    assert f"Python {OTHERS[1]} passed\n" in ran.stdout
    assert ran.returncode == 1


def test_an_interpreter_that_does_not_start_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyenv has a shim on the PATH for every version, which works only for the selected ones."""
    add_program(tmp_path / "bin", "python3.12", "#!/bin/sh\nexit 127\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    places = [f"{tmp_path}/versions/{{version}}.*/bin"]

    assert interpreters.find("3.12", places) is None
    python = add_python(tmp_path / "versions" / "3.12.4" / "bin", "3.12")
    assert interpreters.find("3.12", places) == str(python)


def test_the_package_says_the_same_of_its_versions_everywhere() -> None:
    oldest = interpreters.versions()[0]
    runtime = re.search(r'runtime += "python3(\d+)"', (ROOT / "infra" / "functions.tf").read_text(encoding="utf-8"))

    assert interpreters.versions() == ["3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["requires-python"] == f">={oldest}"
    assert f'target-version = "py{oldest.replace(".", "")}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f"Python {oldest} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert runtime
    assert f"3.{runtime[1]}" in interpreters.versions()


def test_ci_runs_the_matrix_and_the_wheel() -> None:
    ran = re.findall(r"^make (\w+)\b", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)

    assert {"matrix", "wheel"} <= set(ran)
