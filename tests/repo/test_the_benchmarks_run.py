"""Each benchmark runs to its end with few rows; whether it meets its goal is not asked."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rows", "result"),
    [
        ("relay", 1, "goal "),
        ("export", 20_000, "goal "),
        ("wall", 20_000, "goal "),
        ("changes", 20_000, "goal "),
        ("known", 20_000, "goal "),
        ("backlog", 300, "landed in a minute"),
        ("rivals", 100, "goal met"),
        ("scale", 1, "together, dollars"),
    ],
)
def test_a_benchmark_runs_to_its_end(name: str, rows: int, result: str) -> None:
    command = [sys.executable, "-m", "tests.bench", name, "--rows", str(rows), "--rounds", "1"]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)

    assert "Traceback" not in run.stderr, run.stderr
    assert result in run.stdout
