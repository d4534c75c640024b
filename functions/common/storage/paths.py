"""Object names with placeholders: `flights/flights-{date}.csv`."""

from datetime import datetime


def filled(template: str, moment: datetime, run: str) -> str:
    """A name for one run.

    Args:
        moment: the run's start, in the time zone in which its date is meant.
    """
    values = {"{date}": f"{moment:%Y-%m-%d}", "{time}": f"{moment:%H%M%S}", "{run}": run}
    for placeholder, value in values.items():
        template = template.replace(placeholder, value)
    return template


def temporary(run: str) -> str:
    """Return the name of the file that an export writes before it is published."""
    return f"tmp/{run}"
