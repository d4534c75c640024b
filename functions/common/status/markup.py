"""HTML of the status pages: the document around a page, times, and the chart of a job's last runs.

A page is one file. It loads nothing, and its policy allows no script but the one below, so that no name or message
that appears on it can run.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Protocol

from common.platform.clock import stamp
from common.status.record import PastRun
from common.status.standing import StandingName, ago, local_time

LABELS: dict[StandingName, str] = {
    "equal": "Equal",
    "landed": "Landed",
    "published": "Published",
    "on_demand": "On demand",
    "skipped": "Rows skipped",
    "not_compared": "Not compared",
    "new": "Not run yet",
    "waiting": "Waiting",
    "late": "Late",
    "held": "Held",
    "unknown": "Not known",
    "not_equal": "Not equal",
    "failed": "Failed",
}
_TONES: dict[StandingName, str] = {
    **dict.fromkeys(("equal", "landed", "published"), "good"),
    **dict.fromkeys(("on_demand", "skipped", "not_compared", "new", "waiting", "held"), "calm"),
    **dict.fromkeys(("late", "unknown", "not_equal", "failed"), "bad"),
}
_MARKS = {"good": "✓", "calm": "●", "bad": "✕"}

_BAR_WIDTH, _BAR_STEP, _CHART_HEIGHT = 3, 4, 22

_STYLE = """
:root{color-scheme:light dark;--page:#fff;--text:#1b1f24;--soft:#57606a;--line:#d0d7de;--good:#116329;--calm:#7a4d00;
--bad:#b3201f;--link:#0550ae}
@media(prefers-color-scheme:dark){:root{--page:#0d1117;--text:#e6edf3;--soft:#9aa4b0;--line:#30363d;--good:#57d364;
--calm:#e3b341;--bad:#ff8b82;--link:#79b8ff}}
body{margin:0 auto;padding:1rem;max-width:75rem;background:var(--page);color:var(--text);
font:1rem/1.45 system-ui,sans-serif}
h1{font-size:1.3rem;margin:0 0 .3rem}
.lead{font-size:1.15rem;margin:0 0 1rem}
a{color:var(--link)}
table{border-collapse:collapse;width:100%}
caption{text-align:left;color:var(--soft);padding:.2rem 0 .5rem}
th,td{text-align:left;vertical-align:top;padding:.5rem .8rem .5rem 0;border-top:1px solid var(--line)}
thead th{border:0;color:var(--soft);font-weight:600}
small{display:block;color:var(--soft);font-size:.85rem;font-weight:400;overflow-wrap:anywhere}
.n{text-align:right;font-variant-numeric:tabular-nums}
.good{color:var(--good)}.calm{color:var(--calm)}.bad{color:var(--bad)}
b{white-space:nowrap}
svg{display:block}.r{fill:var(--soft)}.f{stroke:var(--bad);stroke-width:1.5}
[hidden]{display:none}
footer{color:var(--soft);margin-top:1.5rem;font-size:.85rem}
@media(max-width:48rem){table,caption,tbody,tr,th,td{display:block}thead{position:absolute;clip-path:inset(50%);
height:1px;overflow:hidden}tr{border-top:2px solid var(--line);padding:.5rem 0}th,td,.n{border:0;padding:.15rem 0;
text-align:left}td[data-of]::before{content:attr(data-of) ": ";color:var(--soft)}svg{display:inline-block}}
@media print{:root{--page:#fff;--text:#000;--soft:#444;--good:#000;--calm:#000;--bad:#000;--link:#000}
body{max-width:none;padding:0;font-size:.8rem}tr{break-inside:avoid}}
"""
_SCRIPT = """
function words(at){let s=Math.max(0,(Date.now()-at)/1000),of=(n,u)=>Math.floor(s/n)+" "+u+" ago";
return s>=172800?of(86400,"d"):s>=3600?of(3600,"h"):s>=60?of(60,"min"):"just now"}
function turn(){for(const t of document.querySelectorAll("time[data-ago]"))
t.querySelector("span").textContent=words(Date.parse(t.dateTime));
for(const w of document.querySelectorAll("[data-old-after]"))w.hidden=Date.now()<Date.parse(w.dataset.oldAfter)}
turn();setInterval(turn,30000)
"""
_SCRIPT_DIGEST = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; script-src 'sha256-{_SCRIPT_DIGEST}'"


class Links(Protocol):
    """Where pages are."""

    def index(self) -> str: ...

    def job(self, name: str) -> str: ...


def document(title: str, body: str, old: tuple[datetime, str] | None) -> str:
    """Return a whole page.

    Args:
        old: since when the page is out of date if it has not been written again, and the words that say so.
    """
    warning = f'<p class="bad" role="status" data-old-after="{stamp(old[0])}" hidden>{old[1]}</p>\n' if old else ""
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n{warning}"
        f"{body}\n</main><script>{_SCRIPT}</script></body></html>\n"
    )


def moment(at: datetime, time_zone: str, now: datetime) -> str:
    """Return a time in a time zone and how long ago it was; the script of the page keeps the latter true."""
    return (
        f'<time datetime="{stamp(at)}" data-ago>{escape(local_time(at, time_zone))} '
        f"<small><span>{ago(at, now)}</span></small></time>"
    )


def verdict(name: StandingName) -> str:
    tone = _TONES[name]
    return f'<b class="{tone}"><span aria-hidden="true">{_MARKS[tone]}</span> {LABELS[name]}</b>'


def number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def chart(runs: Sequence[PastRun]) -> str:
    """Return a chart of the rows of the last runs, the oldest on the left; failures are crosses.

    Args:
        runs: the newest first.
    """
    oldest_first = runs[::-1]
    highest = max((run.landed or 0 for run in oldest_first), default=0) or 1
    bars, crosses = [], []
    for place, run in enumerate(oldest_first):
        x = place * _BAR_STEP
        if run.has_ended_well:
            height = max(1, round((run.landed or 0) / highest * _CHART_HEIGHT))
            bars.append(f"M{x} {_CHART_HEIGHT}v-{height}h{_BAR_WIDTH}v{height}z")
        else:
            crosses.append(f"M{x} 14l3-6m0 6l-3-6")
    failed = f", {len(crosses)} without success" if crosses else ""
    label = f"Rows of the last {len(runs)} runs: at most {highest if bars else 0:,}{failed}"
    width = max(len(runs), 1) * _BAR_STEP
    return (
        f'<svg role="img" aria-label="{label}" width="{width}" height="{_CHART_HEIGHT}">'
        f'<path class="r" d="{"".join(bars)}"/><path class="f" d="{"".join(crosses)}"/></svg>'
    )
