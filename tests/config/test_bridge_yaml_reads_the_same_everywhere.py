"""The file on this machine and its copy in the bucket have the same meaning, or the file is refused."""

from pathlib import Path

import pytest

from common.platform.errors import BridgeFileInvalid
from local import bridge_file


def faults_of(text: str | bytes) -> list[str]:
    with pytest.raises(BridgeFileInvalid) as caught:
        bridge_file.parse(text)
    return caught.value.cause.splitlines()


def test_plain_words_and_numbers_are_unchanged() -> None:
    text = "{a: 12, b: 1.5, c: true, d: 2013-01-01, e: '012', f: 50%, g: 1 month, h: -3, i: '', j: text, k: 0}"
    assert bridge_file.parse(text) == {
        "a": 12,
        "b": 1.5,
        "c": True,
        "d": "2013-01-01",
        "e": "012",
        "f": "50%",
        "g": "1 month",
        "h": -3,
        "i": "",
        "j": "text",
        "k": 0,
    }


@pytest.mark.parametrize(
    "word",
    [
        *["012", "1_000", "1:30", "1e3", "0x1F", "0o7", "0b1", "+5", "5.0", ".5", "5.", ".inf", ".nan"],
        *["yes", "NO", "on", "Off", "y", "N", "12345678901234567890"],
        *["2013-01-01 10:00:00", "2013-01-01T10:00:00Z", "2013-1-1"],
    ],
)
def test_a_word_that_yaml_readers_parse_differently_is_an_error(word: str) -> None:
    (fault,) = faults_of(f"pulls:\n  a: {word}\n")
    assert fault.startswith(f"line 2, column 6: {word!r} means different things")
    assert "write text in quotes" in fault
    assert bridge_file.parse(f"a: '{word}'") == {"a": word}


def test_such_a_word_is_an_error_as_a_key_too() -> None:
    assert faults_of("on: 12")[0].startswith("line 1, column 1: 'on' means")


def test_every_duplicate_job_is_an_error() -> None:
    assert faults_of("pulls:\n  a: {}\n  b: {x: 1, x: 2}\n  a: {}\npulls: {}\n") == [
        "line 3, column 13: 'x' is written twice; write it once",
        "line 4, column 3: 'a' is written twice; write it once",
        "line 5, column 1: 'pulls' is written twice; write it once",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pulls:\n  a: [1, 2\nb: 3", "line 3, column 2: is not YAML"),
        ("a: b: c", "line 1, column 5: is not YAML"),
        ("\tpulls: {}", "line 1, column 1: is indented with a tab; write spaces"),
        ("a: 1\n---\nb: 2", "line 2, column 1: is not YAML"),
        ("a: !!python/object:os.system x", "line 1, column 4: begins with !, which means something in YAML"),
        ("a: !!int 'twelve'", "bridge.yaml: has a !!tag that contradicts its value"),
        ("a: !!bool 'maybe'", "bridge.yaml: has a !!tag that contradicts its value"),
        ("? [a]\n: b", "is not YAML: found unhashable key"),
        (b"a: \xff\xfe", "bridge.yaml: is not YAML"),
        ("[" * 5000, "bridge.yaml: is nested too deeply"),
    ],
)
def test_invalid_yaml_is_an_error_with_its_place(text: str | bytes, words: str) -> None:
    (fault,) = faults_of(text)
    assert words in fault


def test_anchors_and_merges_are_supported() -> None:
    text = "base: &base {a: 1, b: 2}\nother: {<<: *base, b: 3}"
    assert bridge_file.parse(text) == {"base": {"a": 1, "b": 2}, "other": {"a": 1, "b": 3}}


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text("# nothing but: a comment – and ünïcode\n", encoding="utf-8")
    assert bridge_file.read(path) is None
    path.write_text("pulls: {}\n")
    assert bridge_file.load(path).pulls == {}


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BridgeFileInvalid, match=r"bridge\.yaml: cannot be read: No such file") as caught:
        bridge_file.load(tmp_path / "bridge.yaml")
    assert "--config" in caught.value.next_step
