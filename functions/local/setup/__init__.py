"""A job for bridge.yaml from a few answers: `bridge init` and `bridge add`.

Nothing is written before everything is known: the vendors accept the keys, and `bridge check` would find nothing red in
the job.
"""

import contextlib
import signal
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from common import bridge_yaml
from common.platform.errors import MalformedRequest
from local import checks, job_text, terminal
from local.checks import Finding
from local.job_text import JobDraft, JobSection
from local.setup import choices
from local.setup.answers import Answers
from local.setup.choices import ChosenBlock
from local.setup.document import BridgeDocument
from local.setup.held_secrets import HeldSecrets
from local.setup.questions import Option, Questions
from local.setup.vendors import VendorLogins

__all__ = ["Answers", "JobDraft", "Questions", "add_export", "add_pull", "add_relay"]

_NO_ID = "00000000-0000-4000-8000-000000000000"
_REPEATABLE = (
    "May the same rows be sent twice? Yes if the list has a unique ID or the import replaces rows; no if it appends "
    "them"
)
_LOOKER_KEYS = ("url", "host", "port", "region", "web_url", "credentials")
_USED: dict[JobSection, dict[str, Collection[str]]] = {
    "pulls": {"looker": _LOOKER_KEYS, "pigment": ("url", "import_key")},
    "relays": {"webhook": ("token",), "pigment": ("url", "import_key")},
    "exports": {"pigment": ("url", "export_key")},
}
"The sections and keys that a job needs."
_SOURCES = {"Table": "table", "Metric": "metric", "DimensionList": "list", "TransactionList": "list"}
"The key of an export's source by the type of its block (Pigment's API description, `BlockMetadataType`)."


class _Setup:
    """What all jobs need: the files, the logins and the answers."""

    def __init__(self, config: Path, env_file: Path, questions: Questions, answers: Answers) -> None:
        self.document = BridgeDocument.read(config)
        self.bridge = self.document.bridge
        self.secrets = HeldSecrets(env_file)
        self.env_file = env_file
        self.logins = VendorLogins(self.bridge, self.secrets, questions, answers)
        self.questions = questions
        self.answers = answers
        self.expect_new_name()

    def expect_new_name(self) -> None:
        """Raise MalformedRequest if the name in the flag is taken."""
        if self.answers.name in self._taken:
            raise MalformedRequest(
                f"bridge.yaml has a job {self.answers.name} already.", next_step="Give --name another name."
            )

    @property
    def _taken(self) -> list[str]:
        return [job.name for job in self.bridge.jobs()]

    def name(self, title: str, default: str) -> str:
        """Return the name of the job: that of the flag, or one that follows from a title."""
        return self.answers.name or job_text.job_name(title, self._taken, default)

    def repeatable(self) -> bool:
        if self.answers.repeatable is not None:
            return self.answers.repeatable
        return self.questions.confirm(_REPEATABLE, default=False)

    def findings(self, draft: JobDraft) -> list[Finding]:
        """Check the job with the keys that are not written yet. No other job is checked."""
        data = {**{name: self._section(name, keys) for name, keys in _USED[draft.section].items()}, **draft.as_data()}
        return list(checks.findings_of_vendors(bridge_yaml.decode(data), self.secrets.instance()))

    def look_findings(self, look: str) -> list[Finding]:
        """Check whether all rows of a Look can be read."""
        job = {"source": {"look": look}, "target": {"configuration": _NO_ID}}
        looker = self._section("looker", _LOOKER_KEYS)
        data = {"looker": looker, "pigment": {"import_key": "none"}, "pulls": {"job": job}}
        return list(checks.findings_of_looker(bridge_yaml.decode(data), self.secrets.instance()))

    def _section(self, name: str, keys: Collection[str]) -> dict[str, Any]:
        settings = getattr(self.logins, name)
        return {key: value for key in keys if (value := getattr(settings, key))}

    def finish(self, draft: JobDraft) -> str:
        """Check the job and write it. Return its name."""
        changed = self.document.with_job(self.logins.added, draft)
        whole = changed.bridge
        findings = self.findings(draft)
        self._show(findings)
        reds = [finding for finding in findings if finding.colour == "red"]
        if reds:
            raise MalformedRequest(
                f"The job {draft.name} would fail: {reds[0].what} Nothing was written.", next_step=reds[0].next_step
            )
        is_new = not self.document.text
        with _uninterrupted():
            self.document.expect_unchanged()
            self.secrets.save()
            changed.write()
        terminal.say(self._written(draft, is_new=is_new))
        for warning in whole.warnings:
            if draft.name in warning:
                terminal.say(f"Note: {warning}")
        return draft.name

    def _show(self, findings: Collection[Finding]) -> None:
        out = terminal.console()
        for finding in findings:
            if finding.colour != "green" or self.questions.can_ask:
                out.print(checks.table([finding]))

    def _written(self, draft: JobDraft, *, is_new: bool) -> str:
        job = f"{draft.section.removesuffix('s')} {draft.name}"
        keys = f" The keys are in {self.env_file}." if self.secrets.is_new else ""
        if is_new:
            return f"{self.document.path} was written, with the {job}.{keys}"
        return f"{self.document.path} has the new {job}; the rest is as it was.{keys}"


def add_pull(config: Path, env_file: Path, questions: Questions, answers: Answers) -> str:
    """Add a pull, and return its name."""
    setup = _Setup(config, env_file, questions, answers)
    with setup.logins.open_looker() as looker:
        options = choices.look_options(looker, setup.bridge)
    look = _readable_look(setup, options)
    with setup.logins.open_pigment("Import") as pigment:
        target = choices.choose_configuration(pigment, setup.bridge, questions, answers)
    source = f"the Look {look.name}{f', in {look.group}' if look.group else ''}"
    fields = {"source": {"look": look.id}, "target": _target_fields(setup, target)}
    draft = JobDraft(
        "pulls",
        setup.name(look.name, f"look-{look.id}"),
        fields,
        {"source": source, **_target_comments(target)},
        {
            'schedule: "15 6 * * *"': "every day at 6:15, when the bridge is deployed",
            "guards: {max_shrink: 50%}": "refuses a file with less than half of the rows that landed last",
        },
    )
    return setup.finish(draft)


def add_relay(config: Path, env_file: Path, questions: Questions, answers: Answers) -> str:
    """Add a relay, and return its name."""
    setup = _Setup(config, env_file, questions, answers)
    setup.logins.complete_webhook()
    with setup.logins.open_pigment("Import") as pigment:
        target = choices.choose_configuration(pigment, setup.bridge, questions, answers)
    name = setup.name(target.block.name, "deliveries")
    return setup.finish(
        JobDraft(
            "relays",
            name,
            {"target": _target_fields(setup, target)},
            _target_comments(target),
            {"keep: latest": "only the newest delivery that waits is imported; by default every one is"},
        )
    )


def add_export(config: Path, env_file: Path, questions: Questions, answers: Answers) -> str:
    """Add an export, and return its name."""
    setup = _Setup(config, env_file, questions, answers)
    with setup.logins.open_pigment("Export") as pigment:
        found = choices.choose_exported(pigment, questions, answers)
    title = found.inner.name if found.inner else found.block.name
    name = setup.name(title, "block")
    if found.inner:
        source: dict[str, Any] = {"view": found.inner.id}
        what = f"the view {found.inner.name} of {found.block.name}, in {found.application.name}"
    else:
        source = {_SOURCES[found.block.type]: found.block.id, "friendly_headers": True}
        what = f"the whole block {found.block.name}, in {found.application.name}"
    draft = JobDraft(
        "exports",
        name,
        {"source": source, "path": answers.path or f"{name}.csv"},
        {"source": what, "path": "below exports/ in the bridge's bucket; each run replaces it"},
        {
            'schedule: "0 5 * * *"': "every day at 5:00, when the bridge is deployed",
            "format: parquet": "for BigQuery and pandas; by default csv",
        },
    )
    return setup.finish(draft)


def _readable_look(setup: _Setup, options: list[Option]) -> Option:
    """Let the person choose a Look until all of its rows can be read."""
    while True:
        look = choices.choose_look(options, setup.questions, setup.answers.look)
        reds = [each for each in setup.look_findings(look.id) if each.colour == "red"]
        if not reds:
            return look
        setup.questions.show_error(MalformedRequest(reds[0].what, next_step=reds[0].next_step))
        setup.answers.look = ""


def _target_fields(setup: _Setup, target: ChosenBlock) -> dict[str, Any]:
    return {"configuration": target.inner.id if target.inner else "", "repeatable": setup.repeatable()}


def _target_comments(target: ChosenBlock) -> dict[str, str]:
    name = target.inner.name if target.inner else ""
    return {
        "target.configuration": f"{name}, of the block {target.block.name} in {target.application.name}",
        "target.repeatable": "true if sending the same rows twice is harmless",
    }


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until both files are written."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
