"""How each single value of bridge.yaml is read: from what YAML or JSON makes of it to what the structs hold.

A reader takes what stands in the file and gives the value or raises `Wrong`. No fault repeats a value that could be a
secret put in the wrong place, so few repeat one at all: the path says where it stands.
"""

import datetime as dt
import math
import re
import urllib.parse
import zoneinfo
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from common.bridge_yaml.cron import cron_fault
from common.bridge_yaml.model import (
    Bucket,
    Count,
    Cron,
    Day,
    FilterValue,
    Host,
    ObjectPath,
    Port,
    Position,
    Scalar,
    SecretName,
    Share,
    Step,
    TimeZone,
    Unit,
    Url,
    Uuid,
)


class Wrong(ValueError):
    """What is wrong with a value and, where the kind of value does not say it all, what to write instead."""

    def __init__(self, wrong: str, instead: str = "") -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.instead = instead


class Leaf(NamedTuple):
    """One kind of value."""

    read: Callable[[object], object]
    instead: str
    "What to write where it is missing or wrong."


_NOUNS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "empty"),
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "text"),
    (Mapping, "a section"),
    ((list, tuple), "a list"),
)


def noun(raw: object) -> str:
    """What kind of thing this is, without saying what it says."""
    return next((words for kind, words in _NOUNS if isinstance(raw, kind)), "of a kind that no field has")


def text(raw: object) -> str:
    """Numbers become text, for `look: 12` leaves no doubt; true and false are left to their own fields."""
    value = _text(raw)
    if not value.strip():
        raise Wrong("is empty")
    return value


def _text(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    if isinstance(raw, dt.date):
        return str(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise Wrong(f"is {noun(raw)}")
    if isinstance(raw, int):
        if abs(raw) >= 10**18:
            raise Wrong("is a very long number", "the same in quotes")
        return str(raw)
    if not math.isfinite(raw):
        raise Wrong("is no finite number")
    # Terraform's copy of the file holds 5.0 as 5.
    return str(int(raw)) if raw.is_integer() else repr(raw)


_TERRAFORM_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T00:00:00Z")


def _filter_value(raw: object) -> FilterValue:
    value = _text(raw)
    # An unquoted 2013-01-01 reaches the bucket like this: Terraform's yamldecode makes it a time.
    date = _TERRAFORM_DATE.fullmatch(value)
    return date[1] if date else value


def flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise Wrong(f"is {noun(raw)}")
    return raw


def _whole_number(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise Wrong(f"is {noun(raw)}")
    if raw != raw or abs(raw) >= 10**15 or raw != int(raw):  # noqa: PLR0124  # only NaN differs from itself
        raise Wrong("is no whole number, or a very long one")
    return int(raw)


def _count(raw: object) -> Count:
    number = _whole_number(raw)
    if number < 0:
        raise Wrong("is negative")
    return number


def _port(raw: object) -> Port:
    number = _whole_number(raw)
    if not 1 <= number <= 65535:  # noqa: PLR2004  # TCP's own bounds
        raise Wrong("is not within 1-65535")
    return number


def _scalar(raw: object) -> Scalar:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, int | float):
        _text(raw)
        return raw
    return _text(raw)


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _uuid(raw: object) -> Uuid:
    value = text(raw).lower()
    if not _UUID.fullmatch(value):
        raise Wrong("is not a UUID")
    return value


_SECRET_NAME = re.compile(r"(projects/[A-Za-z0-9:.-]+/secrets/)?[A-Za-z0-9_-]{1,255}")
_PINNED_VERSION = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")


def _secret_name(raw: object) -> SecretName:
    if isinstance(raw, str):
        # Pigment's keys are dashed UUIDs or begin with pgmt_: both would pass for a name.
        if _SECRET_NAME.fullmatch(raw) and not raw.startswith("pgmt_") and not _UUID.fullmatch(raw.lower()):
            return raw
        if _PINNED_VERSION.fullmatch(raw):
            raise Wrong("names one version of a secret", "the same without /versions/…: a new version is then found")
    raise Wrong("is not the name of a secret")


_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_API_PATH = re.compile(r"/api(/(4\.0|v1))?$")
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


def _url(raw: object) -> Url:
    value = text(raw).strip()
    if re.search(r"[^!-~]", value):
        raise Wrong("holds a space or another sign that no address has")
    try:
        parts = urllib.parse.urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Wrong("is not an address") from None
    if parts.scheme not in ("http", "https") or not host or not (_HOST.fullmatch(host) or ":" in host):
        raise Wrong("is not an address")
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise Wrong("is not https", "https://…; plain http only serves an address of this machine")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise Wrong("holds more than an address", "it without user, password, query and fragment")
    path = _API_PATH.sub("", parts.path.rstrip("/")).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _host(raw: object) -> Host:
    value = text(raw).strip()
    if "://" in value:
        raise Wrong("is an address", "it under `url`, or the host alone")
    if not _HOST.fullmatch(value):
        raise Wrong("is not the name of a host", "the host alone, a port under `port`")
    return value


def _cron(raw: object) -> Cron:
    value = text(raw)
    fault = cron_fault(value)
    if fault:
        raise Wrong(fault)
    return value


_TIME_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


def _time_zone(raw: object) -> TimeZone:
    value = text(raw)
    if _TIME_ZONE.fullmatch(value):
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # a region alone is a folder
            pass
        else:
            return value
    raise Wrong("is not the name of a time zone")


def _day(raw: object) -> Day:
    try:
        return dt.date.fromisoformat(_filter_value(raw).strip())
    except ValueError:
        raise Wrong("is no day") from None


_UNIT_DAYS = {
    "second": 1 / 86_400,
    "minute": 1 / 1_440,
    "hour": 1 / 24,
    "day": 1,
    "week": 7,
    "month": 30,
    "quarter": 91,
    "year": 365,
}
_STEP = re.compile(r"([0-9]{1,15})(?: *([a-z]+?)s?)?")
_LONGEST_STEP_DAYS = 36_500


def _step(raw: object) -> Step:
    match = _STEP.fullmatch(text(raw).strip().lower())
    if not match:
        raise Wrong("is no step along a cursor")
    amount, unit = int(match[1]), match[2] or "number"
    if unit != "number" and unit not in _UNIT_DAYS:
        raise Wrong("counts in a unit that is not known")
    if amount == 0:
        raise Wrong("goes nowhere")
    if amount * _UNIT_DAYS.get(unit, 0) > _LONGEST_STEP_DAYS:
        raise Wrong("is longer than a century")
    return Step(amount=amount, unit=cast("Unit", unit))


def position(raw: object) -> Position:
    """`2013-01-01` reaches the bucket as `2013-01-01T00:00:00Z`, so a Z says no more than its absence does."""
    if isinstance(raw, int | float):
        return _whole_number(raw)
    value = _text(raw).strip()
    if re.fullmatch(r"-?[0-9]{1,15}", value):
        return int(value)
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise Wrong("is neither a date, nor a time, nor a number") from None
    if moment.utcoffset():
        raise Wrong("holds a UTC offset", "the time in the query's time zone, without an offset")
    return moment.replace(tzinfo=None)


def _share(raw: object) -> Share:
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?) *%", raw.strip()) if isinstance(raw, str) else None
    if not match or float(match[1]) > 100:  # noqa: PLR2004  # per cent
        raise Wrong("is not a percentage")
    return float(match[1]) / 100


_BUCKET = re.compile(r"[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]")


def _bucket(raw: object) -> Bucket:
    value = text(raw)
    if not _BUCKET.fullmatch(value):
        raise Wrong("is not the name of a bucket")
    return value


_PLACEHOLDERS = re.compile(r"\{(date|time|run)\}")
_LONGEST_PATH_BYTES = 900


def _object_path(raw: object) -> ObjectPath:
    value = text(raw)
    fixed = _PLACEHOLDERS.sub("", value)
    if "{" in fixed or "}" in fixed:
        raise Wrong("holds a placeholder that is not known", "only {date}, {time} and {run}")
    if value.startswith("/") or value.endswith("/") or any(step in ("", ".", "..") for step in value.split("/")):
        raise Wrong("is not the name of a file", "it without a / at either end, and without empty steps, `.` and `..`")
    if not value.isprintable() or len(value.encode()) > _LONGEST_PATH_BYTES:
        raise Wrong("holds signs that cannot be seen, or too many of them")
    return value


LEAVES: Mapping[object, Leaf] = {
    str: Leaf(text, "some text"),
    bool: Leaf(flag, "true or false"),
    Uuid: Leaf(_uuid, "its id as Pigment shows it, such as 3fa85f64-5717-4562-b3fc-2c963f66afa6"),
    SecretName: Leaf(
        _secret_name,
        "the NAME of the secret here, such as pigment-import-key or projects/acme/secrets/pigment-import-key, "
        "and keep its value in Secret Manager",
    ),
    Url: Leaf(_url, "an address such as https://acme.cloud.looker.com"),
    Host: Leaf(_host, "a host such as acme.cloud.looker.com"),
    Port: Leaf(_port, "a port such as 19999"),
    Day: Leaf(_day, "a day such as 2027-01-31"),
    Cron: Leaf(_cron, 'five fields of unix-cron, such as "15 6 * * *" for 6:15 every day'),
    TimeZone: Leaf(_time_zone, "an IANA name such as Europe/Paris or UTC"),
    FilterValue: Leaf(_filter_value, 'a Looker filter expression in quotes, such as "7 days"'),
    Bucket: Leaf(_bucket, "a bucket such as acme-exports, without gs://"),
    ObjectPath: Leaf(_object_path, "a name such as revenue/dt={date}/revenue.csv"),
    Count: Leaf(_count, "a whole number such as 1"),
    Share: Leaf(_share, "a percentage such as 50%"),
    Step: Leaf(_step, "a step such as 1 month, 2 hours, or 500000 for a cursor of numbers"),
    Position: Leaf(position, 'a date such as 2013-01-01, a time such as "2013-01-01 06:00", or a number'),
    Scalar: Leaf(_scalar, "some text, a number, true or false"),
}
