"""A new job is inserted into the text of bridge.yaml. Every other character stays as it is."""

import difflib
from pathlib import Path

import pytest

from common.bridge_yaml import Pull
from common.platform.errors import BridgeFileInvalid, OurFault
from local import bridge_file
from local.job_text import JobDraft
from local.setup.document import BridgeDocument

ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER_ID = "4fa85f64-5717-4562-b3fc-2c963f66afa6"
DRAFT = JobDraft(
    "pulls",
    "new",
    {"source": {"look": "13"}, "target": {"configuration": OTHER_ID, "repeatable": True}},
    {"source": "the Look New"},
    {"schedule: daily": "a hint"},
)
NO_SETTINGS: dict[str, dict[str, str]] = {"looker": {}, "pigment": {}, "webhook": {}}
SETTINGS = "looker: {url: https://acme.cloud.looker.com, credentials: l}\npigment: {import_key: i, export_key: e}\n"
JOB = f"old: {{source: {{look: 12}}, target: {{configuration: {ID}}}}}"
FORMS = {
    "two spaces": f"{SETTINGS}pulls:\n  {JOB}\n",
    "four spaces and a comment for each line": (
        f"# top\n{SETTINGS}\npulls:   # jobs\n\n    # about old\n    old:  # of Anna\n        source:\n"
        f"            look:   '12'   # mine\n        target:\n            configuration: {ID}\n"
        "        # schedule: later\n\n    # about others\n\n# the end\n"
    ),
    "another section after it": f"pulls:\n  {JOB}\n\n# settings\n{SETTINGS}",
    "no line end": f"{SETTINGS}pulls:\n  {JOB}",
    "line ends of Windows": f"{SETTINGS}pulls:\n  {JOB}\n".replace("\n", "\r\n"),
    "a list at the end": (
        f"{SETTINGS}pulls:\n  old:\n    source: {{look: 12}}\n    target:\n      configuration: {ID}\n"
        "      columns:\n      - A: a\n      - B: b # last\n"
    ),
    "text of several lines at the end": (
        f"{SETTINGS}pulls:\n  old:\n    target: {{configuration: {ID}}}\n    source:\n      look: |-\n        12\n"
    ),
    "in braces": f"{SETTINGS}pulls: {{{JOB}}} # in one line\n",
    "in braces with a comma at the end": f"{SETTINGS}pulls: {{{JOB},}}\n",
    "empty braces": f"{SETTINGS}pulls: {{}}\n",
    "no jobs": SETTINGS,
    "jobs of another kind": f"{SETTINGS}exports:\n  old:\n    source: {{view: {ID}}}\n    path: a.csv\n# the end",
    "all in braces": (
        f"{{looker: {{url: 'https://a.com', credentials: l}}, pigment: {{import_key: k}}, pulls: {{{JOB}}}}}"
    ),
    "JSON without jobs": '{"looker": {"url": "https://a.com", "credentials": "l"}, "pigment": {"import_key": "k"}}\n',
    "letters of many languages": f"# é 日本 🙂\n{SETTINGS}pulls:\n  {JOB}  # ü\n",
}


def document(text: str, tmp_path: Path) -> BridgeDocument:
    path = tmp_path / "bridge.yaml"
    path.write_bytes(text.encode())
    return BridgeDocument.read(path)


@pytest.mark.parametrize("form", FORMS)
def test_the_job_is_there_and_nothing_else_has_changed(form: str, tmp_path: Path) -> None:
    before = document(FORMS[form], tmp_path)
    before.with_job(NO_SETTINGS, DRAFT).write()

    after = (tmp_path / "bridge.yaml").read_bytes().decode()
    changes = difflib.SequenceMatcher(None, before.text, after, autojunk=False).get_opcodes()
    assert {kind for kind, *_ in changes} == {"equal", "insert"}
    bridge = bridge_file.load(tmp_path / "bridge.yaml")
    assert {job.name for job in bridge.jobs()} == {*({"old"} if "old" in before.text else ()), "new"}
    added = bridge.pulls["new"]
    assert isinstance(added, Pull)
    assert (added.target.configuration, added.target.repeatable) == (OTHER_ID, True)
    assert "\r\n" not in after or "\n" not in after.replace("\r\n", "")


def test_a_new_job_stands_after_the_comments_of_the_last_one(tmp_path: Path) -> None:
    before = document(FORMS["four spaces and a comment for each line"], tmp_path)
    after = before.with_job(NO_SETTINGS, DRAFT).text

    begin, _, end = after.partition("    new:\n")
    assert begin.endswith("        # schedule: later\n\n")
    assert end.startswith('        source: {look: "13"}')
    assert end.endswith("    # about others\n\n# the end\n")


def test_settings_that_are_missing_are_inserted_too(tmp_path: Path) -> None:
    text = f"pigment:\n  export_key: mine # kept\nexports:\n  old: {{source: {{view: {ID}}}, path: a.csv}}\n"
    settings = {
        "looker": {"url": "https://acme.cloud.looker.com", "credentials": "looker-api"},
        "pigment": {"import_key": "pigment-import-key"},
        "webhook": {},
    }
    changed = document(text, tmp_path).with_job(settings, DRAFT)

    assert changed.bridge.pigment.import_key == "pigment-import-key"
    assert changed.bridge.looker.url == "https://acme.cloud.looker.com"
    assert "  export_key: mine # kept\n  import_key: pigment-import-key" in changed.text


def test_a_form_that_cannot_take_a_job_stays_and_the_lines_are_shown(tmp_path: Path) -> None:
    before = document(f"{SETTINGS}...\n", tmp_path)

    with pytest.raises(OurFault) as error:
        before.with_job(NO_SETTINGS, DRAFT)

    assert "It stays as it is." in error.value.cause
    assert f"configuration: {OTHER_ID}" in error.value.next_step


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    before = document(SETTINGS, tmp_path)
    before.expect_unchanged()
    (tmp_path / "bridge.yaml").write_text(f"{SETTINGS}# edited\n")

    with pytest.raises(OurFault, match="has changed meanwhile"):
        before.expect_unchanged()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(SETTINGS)
    (tmp_path / "bridge.yaml").symlink_to("real.yaml")
    before = BridgeDocument.read(tmp_path / "bridge.yaml")
    before.with_job(NO_SETTINGS, DRAFT).write()

    assert (tmp_path / "bridge.yaml").is_symlink()
    assert "new" in bridge_file.load(tmp_path / "real.yaml").pulls


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "bridge.yaml").write_bytes(SETTINGS.encode("utf-16"))

    with pytest.raises(BridgeFileInvalid, match="is not encoded in UTF-8"):
        BridgeDocument.read(tmp_path / "bridge.yaml")
