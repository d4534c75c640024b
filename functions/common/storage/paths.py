"""The path of every object that the bridge writes to its bucket, and names with placeholders."""

import hashlib
import re
from datetime import datetime

CONFIG = "config/bridge.json"
STATUS = "status/"
STATUS_RECORD = "status/status.json"
STATUS_PAGE = "status/index.html"
TOLD = "status/told.json"
LEASES = "leases/"
TEMPORARY = "tmp/"
HELD = "staged/_held/"


def receipts(job: str = "") -> str:
    """The folder of a job's receipts, or of all receipts."""
    return f"receipts/{job}/" if job else "receipts/"


def receipt(job: str, run: str) -> str:
    """Return `receipts/JOB/DATE/RUN.json`; the date is the day in UTC on which the run began."""
    return f"{receipts(job)}{run[:4]}-{run[4:6]}-{run[6:8]}/{run}.json"


def usage(month: str, job: str = "") -> str:
    """What a job has used of Looker's API in a month such as 2026-11; without a job, the folder of a month."""
    return f"usage/{month}/{job}"


def lease(key: str) -> str:
    """The lease on an import configuration, or on `export-JOB`."""
    return f"{LEASES}{key}.json"


def cursor(job: str) -> str:
    return f"cursors/{job}.json"


def staged(job: str, run: str) -> str:
    """The file that a run sends to Pigment."""
    return f"staged/{job}/{run}.csv"


def held(job: str) -> str:
    """The file of a job that waits for approval; it lives as long as the file under `staged/`. No job's name begins
    with an underscore.
    """
    return f"{HELD}{job}.json"


def unfinished(job: str) -> str:
    """What a job's last run has sent, if it is not known to have landed completely and the next run sends it again."""
    return f"staged/_unfinished/{job}.json"


def known(list_id: str, name: str) -> str:
    """The items of a list in Pigment, by the name of one of their properties, for all jobs."""
    return f"staged/_known/{list_id}-{hashlib.sha256(name.encode()).hexdigest()[:16]}.arrow"


def bases(job: str) -> str:
    """The folder of the complete files with which a job compares; they must outlive the files under `staged/`."""
    return f"bases/{job}/"


def base(job: str, run: str) -> str:
    return f"{bases(job)}{run}.csv"


def kept(job: str) -> str:
    """The folder of the files that an incremental load has landed, if its block is compared with all of them."""
    return f"kept/{job}/"


def temporary(run: str) -> str:
    """The file that an export writes before it is published."""
    return f"{TEMPORARY}{run}"


def export(path: str) -> str:
    """The public name of an export in the bridge's own bucket."""
    return f"exports/{path}"


def status_page(job: str) -> str:
    """The page with the last runs of a job."""
    return f"{STATUS}jobs/{job}.html"


def deliveries(place: str, relay: str = "") -> str:
    """The folder of a relay's deliveries, or of all, in the place `inbox`, `delivered` or `dead`."""
    return f"{place}/{relay}/" if relay else f"{place}/"


def delivery(place: str, relay: str, name: str) -> str:
    return f"{deliveries(place, relay)}{name}"


def seen(relay: str, identity: str) -> str:
    """The mark of a delivery that has arrived."""
    return f"seen/{relay}/{identity}"


def latest(relay: str, plan: str) -> str:
    """The mark of the latest delivery of a schedule."""
    return seen(relay, f"plan-{plan}")


def wait(configuration: str) -> str:
    """How long the deliveries into a configuration wait, because the vendor said so."""
    return f"waits/{configuration}.json"


def filled(template: str, moment: datetime, run: str) -> str:
    """Fill the placeholders of a name such as `flights/flights-{date}.csv`; the moment's time zone decides the date."""
    values = {"{date}": f"{moment:%Y-%m-%d}", "{time}": f"{moment:%H%M%S}", "{run}": run}
    for placeholder, value in values.items():
        template = template.replace(placeholder, value)
    return template


def form_of(template: str) -> re.Pattern[str]:
    """Return what matches the names of a template."""
    signs = {"{date}": r"\d{4}-\d\d-\d\d", "{time}": r"\d{6}", "{run}": r"\d{8}T\d{6}-[0-9a-f]{8}"}
    return re.compile("".join(signs.get(part, re.escape(part)) for part in re.split(r"(\{\w+\})", template)))
