"""The status pages: all jobs in one table, and a page with the last runs of each job."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

import msgspec

from common.platform.text import shorten
from common.status.markup import Links, chart, document, moment, number, verdict
from common.status.record import JobRecord, PastRun, StatusRecord
from common.status.standing import Standing, local_time, sentence_of, standing_of, zone_of

_TITLE = "Looker–Pigment bridge"
_SOON = timedelta(hours=2)
"After that, a sweep has written a page again: that of all jobs, or that of a job which was due."
_MOST_BYTES_OF_WORDS = 600
"Of a reason, and of a next step, on the page of its job; half of that in the table of all jobs."


def index_page(record: StatusRecord, now: datetime, links: Links, unread: Sequence[str] = ()) -> str:
    """Return the page of all jobs; of those that could not be read, it has only the names."""
    standings = {name: standing_of(job, now) for name, job in record.jobs.items()}
    zone = zone_of(record.jobs.values())
    sentence = sentence_of(standings.items(), local_time(now, zone), unread)
    columns = ("Job", "Verdict", "Last landing", "Rows", "Next due", "Last runs")
    head = "".join(f'<th scope="col" role="columnheader">{column}</th>' for column in columns)
    shown = {name: msgspec.structs.replace(job, time_zone=zone) for name, job in record.jobs.items()}
    rows = "\n".join(_row(name, job, standings[name], now, links) for name, job in shown.items())
    body = (
        f'<h1>{_TITLE}</h1>\n<p class="lead">{escape(sentence)}</p>\n'
        f"{_table('What each job fills, and when its rows last arrived.', head, rows)}\n"
        f"{_licence(record)}"
        "<footer>Equal: the rows were read back from Pigment and are those that were sent at the last landing. Landed: "
        "Pigment says that it imported them. What has changed in Looker since then comes with the next run. Written "
        f"{escape(local_time(now, zone))}.</footer>"
    )
    old = "This page has not been written for two hours. What it shows may be out of date."
    return document(f"{sentence} – {_TITLE}", body, (now + _SOON, old))


def _licence(record: StatusRecord) -> str:
    return f"<p>{escape(record.licence.in_words())}</p>\n" if record.licence else ""


def job_page(name: str, job: JobRecord, now: datetime, links: Links) -> str:
    """Return the page of one job with its last runs."""
    standing = standing_of(job, now)
    head = "".join(
        f'<th scope="col" role="columnheader"{_numeric(column)}>{column}</th>'
        for column in ("Run", "Outcome", "Read", "Landed", "Skipped", "Seconds", "Why")
    )
    rows = "\n".join(_run_row(run, job, now) for run in job.runs)
    due = f"<p>Next due: {escape(local_time(standing.due_at, job.time_zone))}</p>" if standing.due_at else ""
    landing = f"<p>Last landing: {_landing(job, now)}</p>" if job.landing else ""
    body = (
        f'<p><a href="{escape(links.index())}">All jobs</a></p>\n<h1>{escape(name)}</h1>\n'
        f"<p>{escape(_subject(job))}</p>\n"
        f'<p class="lead">{verdict(standing.name)} {_why(standing)}</p>\n{landing}{due}\n'
        f"{_table(f'The last {len(job.runs)} runs, the newest first.', head, rows)}"
    )
    old = "This page was not written when the job was due. What it shows may be out of date."
    return document(f"{name} – {_TITLE}", body, (standing.due_at + _SOON, old) if standing.due_at else None)


def shown_on_page(job: JobRecord, now: datetime) -> str:
    """Return a digest of what the page of a job shows at a moment, without how long ago that was."""
    standing = standing_of(job, now)
    if standing.is_up_to_date:
        # When it is due, either a run shows on the page, or soon that the job is late.
        standing = msgspec.structs.replace(standing, due_at=None)
    shown = (job.kind, job.title, job.fills, job.time_zone, job.runs, job.landing, standing)
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()


def _table(caption: str, head: str, rows: str) -> str:
    """Return a table with explicit roles: on a narrow screen its rows are blocks, which are no rows by themselves."""
    return (
        f'<table role="table"><caption>{caption}</caption><thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{rows}\n</tbody></table>'
    )


def _row(name: str, job: JobRecord, standing: Standing, now: datetime, links: Links) -> str:
    due = escape(local_time(standing.due_at, job.time_zone)) if standing.due_at else "on demand"
    rows = number(job.landing.rows) if job.landing else ""
    return (
        f'<tr role="row"><th scope="row" role="rowheader"><a href="{escape(links.job(name))}">{escape(name)}</a>'
        f"<small>{escape(_subject(job))}</small></th>"
        f'<td role="cell">{verdict(standing.name)}{_why(standing, _MOST_BYTES_OF_WORDS // 2)}</td>'
        f'<td role="cell" data-of="Last landing">{_landing(job, now)}</td>'
        f'<td role="cell" data-of="Rows"{_numeric("Rows")}>{rows}</td>'
        f'<td role="cell" data-of="Next due">{due}</td>'
        f'<td role="cell" data-of="Last runs">{chart(job.decided_runs)}</td></tr>'
    )


def _run_row(run: PastRun, job: JobRecord, now: datetime) -> str:
    reasons = [f"{run.cause}{_arrow(run.next_step)}"] if run.cause else []
    reasons += [f"{run.held:,} rows held back"] if run.held else []
    reasons += [f"{run.warnings} warning{'s' if run.warnings > 1 else ''} on the receipt"] if run.warnings else []
    started = moment(datetime.fromisoformat(run.started_at), job.time_zone, now)
    verdict_on_block = f", {run.verified}" if run.verified and run.verified != "not_yet" else ""
    outcome = f"{run.outcome.replace('_', ' ')}{verdict_on_block}"
    numbers = zip(
        ("Read", "Landed", "Skipped", "Seconds"),
        (number(run.read), number(run.landed), number(run.skipped), f"{run.seconds:,.1f}"),
        strict=True,
    )
    cells = "".join(f'<td role="cell" data-of="{of}" class="n">{value}</td>' for of, value in numbers)
    return (
        f'<tr role="row"><th scope="row" role="rowheader">{started}<small>{escape(run.run)}</small></th>'
        f'<td role="cell" data-of="Outcome">{escape(outcome)}</td>{cells}'
        f'<td role="cell" data-of="Why">{escape("; ".join(reasons))}</td></tr>'
    )


def _why(standing: Standing, most_bytes: int = _MOST_BYTES_OF_WORDS) -> str:
    words = f"{shorten(standing.reason, most_bytes)}{_arrow(shorten(standing.next_step, most_bytes))}"
    return f"<small>{escape(words)}</small>" if words else ""


def _arrow(next_step: str) -> str:
    return f" → {next_step}" if next_step else ""


def _landing(job: JobRecord, now: datetime) -> str:
    return moment(datetime.fromisoformat(job.landing.at), job.time_zone, now) if job.landing else "never"


def _subject(job: JobRecord) -> str:
    return f"{job.kind}: {job.title or job.fills}"


def _numeric(column: str) -> str:
    return ' class="n"' if column in ("Rows", "Read", "Landed", "Skipped", "Seconds") else ""
