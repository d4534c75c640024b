"""What a browser shows of the status page: on a phone and on a desk, in the dark, and to a screen reader."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.flows.status import RelativeLinks
from common.runs import receipts
from common.runs.receipts import Outcome
from common.status.page import index_page, job_page
from common.status.record import JobRecord, PastRun, StatusRecord, Waiting

ROOT = Path(__file__).parents[2]
BROWSER = shutil.which("chromium")
AXE = ROOT / "build" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / "build" / "pictures"
# As root and in a network without the internet: without the other options it looks up hosts of its own.
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--virtual-time-budget=5000"),
]
LANDED: Outcome = "landed"
PUBLISHED: Outcome = "published"
DAILY: dict[str, Any] = {"schedule": "15 6 * * *", "time_zone": "Europe/Paris", "since": "2026-01-01T00:00:00.000Z"}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="there is no chromium on the path"),
]


def runs(now: datetime, *outcomes: Outcome) -> list[PastRun]:
    """Return runs, the newest first, one a day."""
    past = []
    for day, outcome in enumerate(outcomes):
        started = now - timedelta(days=day, hours=2, minutes=5)
        is_good = outcome in ("landed", "published")
        failure: dict[str, Any] = (
            {} if is_good else {"code": "pigment_busy", "cause": "Pigment is busy.", "next_step": "Wait."}
        )
        landed = 336_776 - 900 * day if is_good else None
        run = receipts.run_id(started, 0.5)
        past.append(PastRun(run, started.isoformat(), outcome, 31.2, read=336_776, landed=landed, **failure))
    return past


def status(now: datetime) -> StatusRecord:
    jobs = {
        "flights": JobRecord("pull", runs(now, *[LANDED] * 30), title="Flights, in Sales planning"),
        "headcount": JobRecord("pull", runs(now, "failed", *[LANDED] * 9), title="Headcount by cost centre"),
        "revenue": JobRecord("export", runs(now, *[PUBLISHED] * 4, "failed"), fills="exports/revenue/revenue.csv"),
        "budget": JobRecord("relay", runs(now, "landed"), waiting=Waiting(3, (now - timedelta(hours=1)).isoformat())),
        "targets": JobRecord("pull", title="Targets by team", **DAILY),
    }
    return StatusRecord("", {name: job.with_runs([]) for name, job in jobs.items()})


def browse(page: Path, *options: str) -> str:
    """Open a page, let its script run, and return what it then is."""
    return subprocess.run(
        [str(BROWSER), *OPTIONS, f"--user-data-dir={page.parent}/profile", *options, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout


def picture(page: Path, name: str, *options: str) -> bytes:
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={page.parent}/profile", *options, f"--screenshot={path}"]
    subprocess.run([*command, page.as_uri()], capture_output=True, check=True, timeout=120)
    return path.read_bytes()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The page of all jobs, as it was written just now."""
    now = datetime.now(UTC)
    path = tmp_path / "index.html"
    path.write_text(index_page(status(now), now, RelativeLinks()))
    return path


def test_the_script_of_the_page_keeps_ages_true_and_says_that_the_page_is_old(tmp_path: Path) -> None:
    written = datetime.now(UTC) - timedelta(hours=3)
    path = tmp_path / "index.html"
    path.write_text(index_page(status(written), written, RelativeLinks()))
    assert path.read_text().count("2 h ago") == 3
    assert 'role="status" data-old-after' in path.read_text()

    shown = browse(path)

    # The policy of the page allows this script, by its digest.
    assert shown.count("5 h ago") == 3
    assert re.search(r'<p class="bad" role="status" data-old-after="[^"]*">This page has not been written', shown)


def test_a_page_that_was_just_written_does_not_call_itself_old(page: Path) -> None:
    assert 'hidden=""' in browse(page)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(page: Path, width: int) -> None:
    measured = with_script(page, 'document.title="wide "+(document.documentElement.scrollWidth>innerWidth)')

    assert "<title>wide false</title>" in browse(measured, f"--window-size={width},900")


def test_the_page_looks_different_on_a_phone_on_a_desk_and_in_the_dark(page: Path) -> None:
    phone = picture(page, "status-360", "--window-size=360,900")
    desk = picture(page, "status-1280", "--window-size=1280,700")
    dark = picture(page, "status-1280-dark", "--window-size=1280,700", "--blink-settings=preferredColorScheme=0")

    assert len({phone, desk, dark}) == 3


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there: make build/node_modules/axe-core/axe.min.js")
@pytest.mark.parametrize(
    "scheme", ["--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"]
)
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("which", ["all jobs", "one job"])
def test_axe_finds_no_violation(page: Path, which: str, width: int, scheme: str) -> None:
    now = datetime.now(UTC)
    if which == "one job":
        page.write_text(job_page("headcount", status(now).jobs["headcount"], now, RelativeLinks()))
    found = "axe.run().then(r=>document.title='axe '+JSON.stringify([r.violations.map(v=>v.id),r.passes.length]))"
    checked = with_script(page, AXE.read_text() + found)

    title = re.search(r"<title>axe (.*?)</title>", browse(checked, f"--window-size={width},900", scheme))

    assert title is not None
    violations, passes = json.loads(title[1].replace("&quot;", '"'))
    assert violations == []
    assert passes > 10


def with_script(page: Path, script: str) -> Path:
    """Return the page with another script at its end, which its policy would not allow."""
    html = re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", page.read_text())
    changed = page.with_name("with-script.html")
    changed.write_text(html.replace("</body>", f"<script>{script}</script></body>"))
    return changed
