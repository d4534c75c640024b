"""`bridge --install-completion` lets a shell complete commands and options, as functions/docs/commands.md shows it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import BRIDGE

pytestmark = pytest.mark.long

# Bash calls the function that is registered for `bridge` when Tab is pressed.
PRESS_TAB = """
bridge --install-completion > installed 2>&1 || exit 1
source ~/.bashrc
for typed in "$@"; do
    COMP_WORDS=(bridge $typed); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE="bridge $typed"
    "$(complete -p bridge | sed -E 's/.*-F ([^ ]+).*/\\1/')" bridge
    echo "${COMPREPLY[@]}"
done
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    typed = ["deliveries re", "pull --pre"]
    path = f"{Path(BRIDGE).parent}{os.pathsep}{os.environ['PATH']}"
    (tmp_path / "press-tab").write_text(PRESS_TAB)

    done = subprocess.run(
        ["bash", "--norc", "press-tab", *typed],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, (tmp_path / "installed").read_text()
    assert [line.split() for line in done.stdout.splitlines()] == [["replay"], ["--preview"]]
