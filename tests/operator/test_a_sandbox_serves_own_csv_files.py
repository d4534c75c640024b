"""`bridge sandbox` serves a Looker and a Pigment over CSV files of the user, with files for a bridge that uses them."""

import json
import signal
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from common.platform.errors import MalformedRequest, OurFault
from local import csv_sandbox
from local.csv_sandbox import LookFile
from local.fault_names import MEANINGS, FaultName
from tests.support.command_line import BRIDGE, run_in

pytestmark = pytest.mark.long

SALES = """Order ID,Order-ID,Postcode,Day,Amount,Paid,Sent
1,"one, and a half",01234,2024-01-02,1.5,true,2024-01-02 10:00:00
2,two,99999,2024-01-03,20,false,2024-01-02 11:00:00
2,two,99999,2024-01-03,20,false,2024-01-02 11:00:00
"""
EXPECTED = {
    FaultName.LOOKER_DOWN: "looker_busy",
    FaultName.LOOKER_KEY_REFUSED: "looker_login_refused",
    FaultName.LOOKER_CUT: "stream_cut",
    FaultName.LOOKER_ERROR_TEXT: "query_failed",
    FaultName.PIGMENT_DOWN: "pigment_busy",
    FaultName.PIGMENT_KEY_REFUSED: "pigment_key_refused",
    FaultName.PIGMENT_BUSY: "pigment_busy",
    FaultName.PIGMENT_LOST_ANSWER: "landing_unconfirmed",
    FaultName.PIGMENT_SKIPS: "too_many_skipped",
    FaultName.PIGMENT_IMPORT_FAILS: "import_failed",
}

WAITED_FOR = {FaultName.LOOKER_DOWN, FaultName.PIGMENT_DOWN, FaultName.PIGMENT_LOST_ANSWER}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a CSV file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.csv").write_text(SALES)
    return tmp_path


def looks(*texts: str) -> list[LookFile]:
    return [LookFile.parse(text) for text in texts or ("12=sales.csv",)]


def columns(*lines: str) -> dict[str, str]:
    """Return the types of the columns of a file with these lines."""
    Path("other.csv").write_text("".join(f"{line}\n" for line in lines))
    with csv_sandbox.start(looks("7=other.csv")) as sandbox:
        return dict(sandbox.looks[0].columns)


def refusal(content: bytes, name: str = "bad.csv") -> str:
    Path(name).write_bytes(content)
    with pytest.raises(MalformedRequest) as error, csv_sandbox.start(looks(f"7={name}")):
        pass
    assert not Path("bridge.yaml").exists()
    return error.value.cause


def test_the_commands_of_a_bridge_work_beside_it_until_ctrl_c(folder: Path) -> None:
    command = [BRIDGE, "sandbox", "--look", "12=sales.csv"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        announced = json.loads(process.stdout.readline())
        check = run_in(folder, "check", "--json")
        preview = run_in(folder, "pull", "sales", "--preview")
        pulled = run_in(folder, "pull", "sales", "--json")
        runs = run_in(folder, "runs")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0

    assert (announced["files"], announced["faults"]) == ("written", [])
    assert announced["looks"]["12"]["job"] == "sales"
    assert check.status == 0
    assert {finding["subject"] for finding in json.loads(check.output) if finding["colour"] != "green"} <= {
        "config/bridge.json"
    }
    assert (preview.status, "one, and a half" in preview.output) == (0, True)
    receipt = json.loads(pulled.output)
    assert (pulled.status, receipt["outcome"], receipt["rows"]["inserted"]) == (0, "landed", 2)
    assert [line.split()[2] for line in runs.output.splitlines()[1:]] == ["landed", "previewed"]


def test_columns_have_the_types_of_their_values(folder: Path) -> None:
    with csv_sandbox.start(looks()) as sandbox:
        look = sandbox.looks[0]
        assert run_in(folder, "pull", "sales").status == 0
        rows = sandbox.vendors.pigment.rows(look.configuration)

    assert look.columns == {
        "Sales Order Id": "integer",
        "Sales Order Id 2": "text",
        "Sales Postcode": "text",  # a number would lose its zero
        "Sales Day": "date",
        "Sales Amount": "number",
        "Sales Paid": "boolean",
        "Sales Sent": "text",  # Pigment has days, but no times
    }
    assert (look.rows, look.repeated_rows) == (3, 1)
    assert [row["Sales Postcode"] for row in rows] == ["99999", "01234"]


def test_a_word_among_numbers_makes_text_and_any_separator_is_read(folder: Path) -> None:
    assert columns("n;w", "nan;1", "2.5;2") == {"Other N": "text", "Other W": "integer"}
    with csv_sandbox.start(looks("7=other.csv")):
        assert run_in(folder, "pull", "other").status == 0


def test_the_keys_are_only_for_their_owner_and_the_files_are_valid(folder: Path) -> None:
    with csv_sandbox.start(looks("12=sales.csv", "13=./sales.csv")):
        pass

    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    pulls = yaml.safe_load((folder / "bridge.yaml").read_text())["pulls"]
    assert {name: pull["source"]["look"] for name, pull in pulls.items()} == {"sales": "12", "sales-13": "13"}
    assert run_in(folder, "check", "--offline").status == 0


def test_started_again_it_has_the_same_addresses_keys_and_rows(folder: Path) -> None:
    with csv_sandbox.start(looks()) as first:
        assert run_in(folder, "pull", "sales").status == 0
    written = (folder / "bridge.yaml").read_text()
    with csv_sandbox.start(looks("12=sales.csv", "13=sales.csv")) as second:
        assert second.vendors.secrets == first.vendors.secrets
        assert second.vendors.sections() == first.vendors.sections()
        assert second.vendors.pigment.count(second.looks[0].configuration) == 2
        assert run_in(folder, "pull", "sales").status == 0

    assert (first.files, second.files) == ("written", "known")
    assert (folder / "bridge.yaml").read_text() == written


@pytest.mark.parametrize("name", ["bridge.yaml", ".env"])
def test_files_of_something_else_stay_as_they_are(folder: Path, name: str) -> None:
    (folder / name).write_text("looker: {url: https://acme.cloud.looker.com}\n")
    with csv_sandbox.start(looks()) as sandbox:
        assert sandbox.files == "left"

    assert (folder / name).read_text() == "looker: {url: https://acme.cloud.looker.com}\n"
    assert {path.name for path in folder.iterdir()} == {"sales.csv", ".sandbox", name}


def test_a_second_sandbox_in_the_folder_is_refused(folder: Path) -> None:
    with csv_sandbox.start(looks()):
        command = [BRIDGE, "sandbox", "--look", "12=sales.csv"]
        second = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)

    assert second.returncode == 1
    assert "Another sandbox uses the folder .sandbox." in second.stderr


def test_a_file_whose_types_have_changed_names_the_folder_to_delete(folder: Path) -> None:
    with csv_sandbox.start(looks()):
        pass
    (folder / "sales.csv").write_text(SALES.replace("1.5", "much"))

    with pytest.raises(OurFault) as error, csv_sandbox.start(looks()):
        pass

    assert "'Sales Amount' is a number, but its column is a text" in error.value.cause
    assert ".sandbox" in error.value.next_step


@pytest.mark.usefixtures("folder")
def test_a_file_that_cannot_be_read_whole_is_refused() -> None:
    assert "2 columns, and other lines have 4 columns" in refusal(b"a,b\n1,2\n1,2,3,4\n")
    assert "2 columns, and other lines have 1 column" in refusal(b"a,b\n1,2\n3,4\n5\n")
    assert "1 column, and other lines have 2 columns" in refusal(b"A title\na,b\n1,2\n3,4\n")
    assert "its first line is empty" in refusal(b"")
    assert "end with CR and LF, others with LF alone" in refusal(b"id,name,amount\r\n1,a,7\r\n2,b,8\r\n3,c,7\n")
    assert "not utf-8 encoded" in refusal(b"a,b\n1,caf\xe9\n")
    assert "caf" not in refusal(b"a,b\n1,caf\xe9\n")
    assert "not a zip file" in refusal(b"a,b\n", "bad.csv.zip")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("text", ["sales.csv", "0=sales.csv", "x=sales.csv", "12=", "12=none.csv", "12=."])
def test_a_look_that_is_no_number_and_file_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest):
        LookFile.parse(text)


@pytest.mark.usefixtures("folder")
def test_one_number_for_two_files_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="12 twice"), csv_sandbox.start(looks("12=sales.csv", "12=sales.csv")):
        pass


@pytest.mark.usefixtures("folder")
def test_the_name_of_a_file_is_no_pattern() -> None:
    Path("sales [a].csv").write_text("n\n1\n")
    Path("sales a.csv").write_text("n\n1\n2\n")
    with csv_sandbox.start(looks("12=sales [a].csv")) as sandbox:
        assert (sandbox.looks[0].rows, sandbox.looks[0].job) == (1, "sales-a")


def test_each_fault_leads_to_its_error(folder: Path) -> None:
    found = {name: code_of_pull(folder, [name]) for name in FaultName}

    assert found == EXPECTED
    assert set(MEANINGS) == set(FaultName)


def code_of_pull(folder: Path, faults: Sequence[FaultName]) -> str:
    # A run repeats what nobody answers until its time is over; all other runs end by themselves.
    budget_s = "3" if set(faults) & WAITED_FOR else "60"
    with csv_sandbox.start(looks(), faults):
        result = run_in(folder, "pull", "sales", "--json", "--state", faults[0], BRIDGE_DEADLINE_S=budget_s)
    return str(json.loads(result.output)["error"]["code"])
