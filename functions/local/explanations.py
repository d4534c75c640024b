"""What an error code, an outcome or one run means, in plain words, for a person or an assistant who reads it.

The story of a run has counts, names and reasons, but no value of a row. `bridge runs RUN` shows those on its receipt.
"""

import difflib
import re
from collections.abc import Iterator

import msgspec

from common.platform.errors import BridgeError, NotFound, code_of, every_error, meaning_of
from common.runs import receipts, settling
from common.runs.ends import end_of
from common.runs.receipts import Receipt
from common.storage.bucket import Bucket
from local import next_steps, open_runs
from local.open_runs import OpenRun

_ERRORS, _RECEIPTS = "functions/docs/errors.md", "functions/docs/receipts.md"
SECTIONS = {
    "functions/docs/commands.md#a-bridge-on-this-machine": ("disk_full", "secret_unreadable"),
    "functions/docs/pull.md#approval": ("awaiting_approval", "not_approved"),
    "functions/docs/bridge-yaml.md": (
        "bridge_file_invalid",
        "columns_changed",
        "too_few_rows",
        "shrunk",
        "too_many_skipped",
    ),
    "functions/docs/pull.md#changes": ("keys_not_unique",),
    "functions/docs/commands.md": ("no_such_job", "not_found"),
    "functions/README.md#environment": ("setting_missing",),
    "functions/docs/export.md": ("block_not_found", "view_too_big", "view_not_supported"),
    "functions/README.md#how-the-guarantees-hold": (
        *("configuration_occupied", "landing_unknown", "landing_unconfirmed", "lease_lost", "run_interrupted"),
    ),
    "functions/docs/pull.md#incremental": ("cursor_unfit", "window_ignored"),
    "functions/docs/pull.md#known-items": ("unknown_items",),
    "functions/docs/pull.md": ("too_many_deleted",),
    "functions/docs/relay.md": ("body_too_long", "body_too_slow", "delivery_not_usable", "token_refused"),
    "functions/README.md#unexpected-vendor-behaviour": (
        *("cannot_stream", "truncated_at_limit", "looker_login_refused", "look_not_found", "query_failed"),
    ),
    "functions/docs/verify.md": ("not_equal",),
}
"The pages and sections that say more than the table of errors, with the codes that they are about."
_SECTION_OF = {code: section for section, codes in SECTIONS.items() for code in codes}

_OUTCOMES = {
    "landed": "Pigment has imported the rows, and reports none that it left out.",
    "landed_with_skips": "Pigment has imported the rows but for some, which the job tolerates.",
    "nothing_new": "There was nothing to send, which the guards allow.",
    "previewed": "It was a preview: nothing was sent or published.",
    "published": "The complete export is available under its name.",
    "importing": "Pigment has the file, and how its import ended is not known yet.",
    "held": "More has changed than guards.approve allows. Nothing is sent before a person has decided.",
    "approved": "A person approved the file, and another run has landed it.",
    "occupied": "Another run had the import configuration, or the export, or took it over. Nothing was sent.",
    "refused": "A guard, the column contract or a person rejected the file. Nothing was sent or published.",
    "failed": "It ended with an error.",
    "unknown": "Pigment may have the file but did not confirm it; of an export, the object may be published.",
    "running": "It is in progress.",
    "interrupted": "It was killed, or did not renew its lease, before it ended.",
}
"The outcomes of receipts, and the states of runs that have none yet."
_NEXT_STEPS = {
    "landed_with_skips": (
        "Add the missing items in Pigment or fix the values at their source. Then run the job again, if its target is "
        "repeatable."
    ),
    "importing": "No action needed: the next run of the job asks Pigment how the import ended.",
    "occupied": "No action needed, unless no run of the job lands afterwards: `bridge runs JOB` shows them.",
    "running": "Wait until it has ended.",
    "interrupted": "No action needed: the next run of the job settles it.",
}
_NOTHING_TO_DO = "No action needed."
_MEND_VERIFY = "Correct `verify` of the job in bridge.yaml as the warning says. `bridge verify JOB` then compares."
_VERDICTS = {
    "equal": "The block was read back and has what was sent.",
    "differs": "The block was read back and differs from what was sent.",
    "not_yet": "The block has not been read back yet.",
    "impossible": "The block cannot be compared with what was sent.",
}
_SOURCES = {"pull": "Looker", "relay": "the webhook delivery", "export": "Pigment"}


class CodeExplanation(msgspec.Struct, frozen=True):
    code: str
    status: int
    "The HTTP status of a function's answer."
    meaning: str
    next_step: str
    documentation: str
    in_the_cloud: str = ""
    "The next step for a bridge in the cloud, if this command would work on one on this machine and they differ."

    def text(self) -> str:
        title = f"{self.code} (HTTP status {self.status})\n\n{self.meaning}\n\n"
        if not self.in_the_cloud:
            return f"{title}{_ending(self)}"
        return f"{title}For a bridge on this machine:\n{_ending(self)}\n\nFor one in the cloud:\n→ {self.in_the_cloud}"


class OutcomeExplanation(msgspec.Struct, frozen=True):
    outcome: str
    meaning: str
    next_step: str
    documentation: str

    def text(self) -> str:
        return f"{self.outcome} (the outcome of a run)\n\n{self.meaning}\n\n{_ending(self)}"


class RunExplanation(msgspec.Struct, frozen=True):
    run: str
    job: str
    outcome: str
    code: str | None
    "Of its error."
    story: list[str]
    "Sentences: what was read, sent, landed and skipped, how it ended and why."
    next_step: str
    documentation: str

    def text(self) -> str:
        story = "\n".join(self.story)
        return f"{self.outcome}: run {self.run} of {self.job}\n\n{story}\n\n{_ending(self)}"


Explained = CodeExplanation | OutcomeExplanation | RunExplanation


def of_word(word: str) -> CodeExplanation | OutcomeExplanation:
    """Explain an error code or an outcome. Raises NotFound if it is neither."""
    codes = {code_of(kind): kind for kind in every_error()}
    name = word.strip().lower().replace("-", "_")
    if name in codes:
        return _of_code(name, codes[name])
    if name in _OUTCOMES:
        which = f"`bridge runs` shows the ids of runs, and `bridge explain RUN` what to do about one that is {name}."
        next_step = _NEXT_STEPS.get(name, which)
        return OutcomeExplanation(name, _OUTCOMES[name], next_step, _RECEIPTS)
    alike = difflib.get_close_matches(name, [*codes, *_OUTCOMES], 1)
    known = "`bridge errors` lists the error codes, and `bridge runs` the ids of runs."
    raise NotFound(
        f"{word} is no error code, no outcome and no id of a run.",
        next_step=f"Did you mean {alike[0]}? {known}" if alike else known,
    )


def of_run(bucket: Bucket, run: str) -> RunExplanation:
    """Explain a run of any day. Raises NotFound if there is none with this id."""
    begun = open_runs.find(bucket, run)
    if begun is None:
        return of_receipt(receipts.find(bucket, run))
    stored = receipts.read(bucket, begun.receipt.job, run)
    # A run that is killed after its receipt leaves its journal open, which the next run closes.
    has_ended = stored is not None and stored.is_final and stored.outcome != "held"
    return of_receipt(stored) if stored and has_ended else _of_open_run(begun)


def of_receipt(receipt: Receipt) -> RunExplanation:
    """Explain a run that has ended."""
    code, next_step = None, _NEXT_STEPS.get(receipt.outcome, _NOTHING_TO_DO)
    if receipt.verified == "impossible":
        next_step = _MEND_VERIFY
    if receipt.error is not None:
        code, next_step = receipt.error.code, next_steps.of(receipt.error)
    if receipt.kind == "relay" and receipt.call and settling.place_after(end_of(receipt)) == "dead":
        next_step = next_steps.of_dead_delivery(next_step, f"{receipt.job}/{receipt.call}")
    ending = [_OUTCOMES[receipt.outcome], *([receipt.error.message] if receipt.error else [])]
    return _explanation(receipt, receipt.outcome, code, ending, next_step)


def _of_open_run(begun: OpenRun) -> RunExplanation:
    """Explain a run that has not ended, or not for good, from the receipt in its journal."""
    receipt, error = begun.receipt, begun.receipt.error
    if error is not None and begun.state in ("unknown", "held", "importing"):
        return _explanation(
            receipt, begun.state, error.code, [_OUTCOMES[begun.state], error.message], next_steps.of(error)
        )
    next_step = _NEXT_STEPS.get(begun.state, begun.details)
    return _explanation(receipt, begun.state, None, [_OUTCOMES[begun.state], begun.details], next_step)


def _explanation(receipt: Receipt, outcome: str, code: str | None, ending: list[str], next_step: str) -> RunExplanation:
    warnings = [f"Warning: {each}" for each in receipt.warnings]
    story = list(dict.fromkeys([*_story(receipt), *ending, *warnings]))
    where = _documentation(code) if code else _RECEIPTS
    return RunExplanation(receipt.run, receipt.job, outcome, code, story, _filled(next_step, receipt), where)


def _of_code(code: str, kind: type[BridgeError]) -> CodeExplanation:
    next_step = next_steps.fitting(kind, "", kind.next_step)
    in_the_cloud = kind.next_step if next_steps.is_local() and kind.next_step != next_step else ""
    return CodeExplanation(code, kind.status, meaning_of(kind), next_step, _documentation(code), in_the_cloud)


def _story(receipt: Receipt) -> Iterator[str]:
    took = f" and took {receipt.seconds.total:.1f} s" if receipt.seconds.total else ""
    yield f"The {receipt.kind} {receipt.job} began at {receipt.started_at[:19].replace('T', ' ')} UTC{took}."
    yield from _read(receipt)
    if receipt.kind == "export":
        yield from _published(receipt)
    else:
        yield from _landed(receipt)


def _read(receipt: Receipt) -> Iterator[str]:
    source = _SOURCES.get(receipt.kind, "its source")
    window = f", from {receipt.window[0]} up to {receipt.window[1]}" if receipt.window else ""
    if receipt.rows.read is not None:
        yield f"It read {_rows(receipt.rows.read)} from {source}{window}."
    elif receipt.outcome != "nothing_new":
        yield f"It did not finish reading from {source}{window}."
    if changes := receipt.changes:
        yield (
            f"Compared with the last landing, {changes.added:,} are new, {changes.changed:,} are changed, "
            f"{changes.unchanged:,} are unchanged and {changes.gone:,} are gone."
        )
    for check in receipt.known:
        if check.unknown:
            yield f"Values of the column {check.column} are no items in Pigment. The receipt names them."
    if receipt.rows.held:
        yield f"It held back {_rows(receipt.rows.held)}, which were not sent."


def _landed(receipt: Receipt) -> Iterator[str]:
    rows = receipt.rows
    if rows.sent is None:
        yield "It sent nothing to Pigment."
    elif receipt.outcome == "unknown":
        yield f"Pigment may have {_rows(rows.sent)} of it."
    else:
        yield f"It sent {_rows(rows.sent)} to Pigment."
    counts = {"inserted": rows.inserted, "updated": rows.updated, "deleted": rows.deleted, "skipped": rows.skipped}
    if told := [f"{count:,} {name}" for name, count in counts.items() if count is not None]:
        yield f"Pigment counted {', '.join(told)}."
    for skip in receipt.skips:
        column = f" in the column {skip.column}" if skip.column else ""
        yield f"Not imported: {_rows(skip.count)} for the reason {skip.reason}{column}."
    if receipt.verified:
        yield _VERDICTS[receipt.verified]


def _published(receipt: Receipt) -> Iterator[str]:
    if receipt.outcome == "published":
        yield f"It published the object {receipt.object}."
    elif receipt.outcome != "unknown":
        yield "It published nothing; an earlier object of this name is unchanged."


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _filled(next_step: str, receipt: Receipt) -> str:
    """Put the run and the job in the place of RUN and JOB."""
    values = {"RUN": receipt.run, "JOB": receipt.job}
    return re.sub(r"\b(RUN|JOB)\b", lambda found: values[found[0]], next_step)


def _documentation(code: str) -> str:
    return _SECTION_OF.get(code, _ERRORS)


def _ending(explained: Explained) -> str:
    return f"→ {explained.next_step}\nSee {explained.documentation}"
