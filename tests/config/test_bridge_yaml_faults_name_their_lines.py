"""All faults of a bridge.yaml are in one message, each once, with its line and what to write instead."""

import pytest

from common.platform.errors import BridgeFileInvalid
from local import bridge_file

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
VALID = f"""\
looker:
  url: https://acme.cloud.looker.com
  credentials: looker-api
pigment:
  import_key: pigment-import-key
pulls:
  flights:
    schedule: "*/5 * * * *"
    source:
      look: "12"
    target:
      configuration: {ID}
"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(BridgeFileInvalid) as caught:
        bridge_file.decode_file(text)
    return caught.value.cause.splitlines()


def test_the_file_that_these_tests_change_is_valid() -> None:
    assert bridge_file.decode_file(VALID).bridge.warnings == ()


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        # an address in place of what it names
        (
            '"12"',
            "https://acme.cloud.looker.com/looks/12",
            'line 10, pulls.flights.source.look: is an address; write "12"',
        ),
        ('"12"', "/looks/12", 'line 10, pulls.flights.source.look: is an address; write "12"'),
        (
            '"12"',
            "https://acme.cloud.looker.com/explore/faa/flights?qid=aBc1",
            "line 10, pulls.flights.source.look: is an address; write query: aBc1 instead of look",
        ),
        (
            'look: "12"',
            "query: https://acme.cloud.looker.com/explore/faa/flights?qid=aBc1&toggle=fil",
            "line 10, pulls.flights.source.query: is an address; write aBc1",
        ),
        ('look: "12"', "query: qid=aBc1", "line 10, pulls.flights.source.query: is an address; write aBc1"),
        (
            'source:\n      look: "12"',
            "source: https://acme.cloud.looker.com/looks/12",
            'line 9, pulls.flights.source: is an address; write look: "12"',
        ),
        (
            'look: "12"',
            "explore: https://acme.cloud.looker.com/explore/faa/flights",
            "line 10, pulls.flights.source.explore: is an address; write explore: {model: faa, view: flights, fields:",
        ),
        (
            "https://acme.cloud.looker.com",
            "https://acme.cloud.looker.com/explore/faa/flights?qid=aBc1",
            "line 2, looker.url: has a user, a query or a fragment; write https://acme.cloud.looker.com",
        ),
        (
            ID,
            "https://pigment.app/acme/blocks/1",
            "line 12, pulls.flights.target.configuration: is an address; write the ID alone: `bridge configurations`",
        ),
        # YAML
        (
            '"*/5 * * * *"',
            "*/5 * * * *",
            'line 8, column 15: begins with *, which means something in YAML; write schedule: "*/5 * * * *"',
        ),
        (
            '"*/5 * * * *"',
            "* * * * *  # often",
            'line 8, column 15: begins with *, which means something in YAML; write schedule: "* * * * *"',
        ),
        (
            '"*/5 * * * *"',
            "@daily",
            "line 8, column 15: begins with @, which means something in YAML; write the value in quotes",
        ),
        ("    schedule", "\tschedule", "line 8, column 1: is indented with a tab; write spaces, two for each level"),
        (
            "  import_key",
            "\timport_key",
            "line 5, column 1: is indented with a tab; write spaces, two for each level",
        ),
        ("schedule: ", "schedule:", "line 8, column 5: has no space after the colon; write `schedule: …`"),
        ("  flights:", "  flights", "line 7, column 3: has no colon; write `flights:`"),
        ("    schedule", "  \u00a0\u00a0schedule", "line 8, column 1: has a no-break space, which is none in YAML"),
        ("schedule: ", "schedule:\u00a0", "line 8, column 1: has a no-break space, which is none in YAML"),
        # one finding, whatever follows from it
        ("    source:", "    sourse:", "line 9, pulls.flights.sourse: is not a known key; write source"),
        ("  credentials:", "  credential:", "line 3, looker.credential: is not a known key; write credentials"),
        ("looker:", "lookr:", "line 1, lookr: is not a known key; write looker"),
        ("look:", "lok:", "line 10, pulls.flights.source.lok: is not a known key; write look"),
        (
            "  credentials",
            "  port: 19999\n  region: us-west\n  credentials",
            "line 3, looker.port: is only allowed with host, as is region; write everything into url, as in https://",
        ),
        ('"*/5 * * * *"', "012", "line 8, column 15: '012' means different things to different YAML readers"),
        # missing, at the section that lacks it
        (
            f"      configuration: {ID}\n",
            "      repeatable: true\n",
            "line 11, pulls.flights.target.configuration: is missing; write a UUID",
        ),
    ],
)
def test_each_fault_is_one_line_with_its_place(before: str, after: str, fault: str) -> None:
    (found,) = faults_of(VALID.replace(before, after, 1))
    assert found.startswith(fault)


def test_faults_of_yaml_and_of_values_are_in_one_message_in_the_order_of_their_lines() -> None:
    text = VALID.replace("https://", "http://").replace('"*/5 * * * *"', "*/5 * * * *").replace('"12"', "012")
    text += "    guards: {min_rows: some}\n\trepeatable: true\nexports:\n  a: {source: {view: x}, path: {date}/a.csv}\n"
    found = [fault.partition(":")[0] for fault in faults_of(text)]
    assert found == [
        "line 2, looker.url",
        "line 4, pigment.export_key",
        "line 8, column 15",
        "line 10, column 13",
        "line 13, pulls.flights.guards.min_rows",
        "line 14, column 1",
        "line 14, pulls.flights.repeatable",
        "line 16, column 32",
        "line 16, exports.a.source.view",
    ]


def test_many_tabs_are_one_fault() -> None:
    text = VALID.replace("  ", "\t")
    (fault,) = faults_of(text)
    assert fault.startswith("line 2, column 1: is indented with a tab, as are 8 more lines; write spaces")


@pytest.mark.parametrize(
    "key",
    [
        "pgmt_ThisIsAKeyOfPigment",
        ID,
        "wVx2Kd0vRt7Yb3Lm9Zc4",
        "Hf6Gs1Pa8Ue2Io5Jq8xKd0vR",
        "0123456789abcdef0123456789abcdef",
        "{client_id: wVx2Kd0vRt7Yb3Lm9Zc4, client_secret: Hf6Gs1Pa8Ue2Io5Jq8xKd0vR}",
    ],
)
def test_a_key_in_place_of_the_name_of_its_secret_is_told_from_a_name(key: str) -> None:
    (fault,) = faults_of(VALID.replace("looker-api", key))
    assert fault.startswith("line 3, looker.credentials: looks like a key itself")
    assert "The key itself belongs under this name into .env, or into Secret Manager" in fault
    assert "pgmt_" not in fault
    assert "wVx2" not in fault


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &a [1, 1]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\nlook: [*d, *d]",
        "\t\t\t",
        "a: *\n\tb: {x}y\n",
        "- */5 * * * *",
        "{a: */5}",
        "path: {date}",
    ],
)
def test_strange_files_are_refused_with_a_message(text: str) -> None:
    assert all("; write " in fault for fault in faults_of(text))
