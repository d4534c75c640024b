"""Parsers for the single values of bridge.yaml, from the plain data of YAML or JSON to the fields of the structs.

A parser returns the value or raises `InvalidValue`. Messages do not repeat values, because a secret could stand in the
wrong place; the path shows which value is meant.
"""

import datetime as dt
import math
import re
import urllib.parse
import zoneinfo
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from common.bridge_yaml import addresses
from common.bridge_yaml.cron import cron_problem
from common.bridge_yaml.model import (
    UNIT_DAYS,
    BucketName,
    Count,
    Cron,
    Day,
    FilterValue,
    Host,
    LookId,
    ObjectPath,
    Port,
    Position,
    QuerySlug,
    Scalar,
    SecretName,
    Share,
    Step,
    TimeZone,
    Unit,
    Url,
    Uuid,
)


class InvalidValue(ValueError):
    """A value cannot be parsed. The message is the rest of a sentence whose subject is the value's path."""

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice
        "The suggested replacement; empty if the advice for the format is enough."


class ValueFormat(NamedTuple):
    """A format of single values."""

    parse: Callable[[object], object]
    "Return the value, or raise InvalidValue."
    advice: str
    "The suggestion for a missing or invalid value."


_DESCRIPTIONS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "empty"),
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "text"),
    (Mapping, "a section"),
    ((list, tuple), "a list"),
)


def describe(raw: object) -> str:
    """Return the type of a value in words, without the value."""
    return next((words for kind, words in _DESCRIPTIONS if isinstance(raw, kind)), "of an unsupported type")


def parse_text(raw: object) -> str:
    """Parse text that is not empty. Numbers become text, because `look: 12` is unambiguous; booleans are refused."""
    value = _any_text(raw)
    if not value.strip():
        raise InvalidValue("is empty")
    return value


def _any_text(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    if isinstance(raw, dt.date):
        return str(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise InvalidValue(f"is {describe(raw)}")
    if isinstance(raw, int):
        if abs(raw) >= 10**18:
            raise InvalidValue("is a very long number", "the number in quotes")
        return str(raw)
    if not math.isfinite(raw):
        raise InvalidValue("is not a finite number")
    # A copy in a bucket may have 5 for 5.0, as Terraform's jsonencode writes it.
    return str(int(raw)) if raw.is_integer() else repr(raw)


def _parse_look(raw: object) -> LookId:
    value = parse_text(raw)
    if addresses.is_address(value):
        meant = addresses.look_in(value)
        source = addresses.source_in(value)
        advice = meant or (f"{source} instead of look" if source else "the number in the URL of a Look")
        raise InvalidValue("is an address", advice)
    return value


def _parse_slug(raw: object) -> QuerySlug:
    value = parse_text(raw)
    if addresses.is_address(value) or "qid=" in value:
        meant = addresses.slug_in(value if "?" in value else f"?{value}")
        source = addresses.source_in(value)
        advice = meant or (f"{source} instead of query" if source else "what follows qid= in the URL of an Explore")
        raise InvalidValue("is an address", advice)
    return value


_TERRAFORM_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T00:00:00Z")


def _parse_filter_value(raw: object) -> FilterValue:
    value = _any_text(raw)
    # A copy in a bucket may have an unquoted 2013-01-01 as this time, as Terraform's yamldecode reads it.
    date = _TERRAFORM_DATE.fullmatch(value)
    return date[1] if date else value


def _parse_flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise InvalidValue(f"is {describe(raw)}")
    return raw


def _parse_whole_number(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise InvalidValue(f"is {describe(raw)}")
    if raw != raw or abs(raw) >= 10**15 or raw != int(raw):  # noqa: PLR0124  # only NaN differs from itself
        raise InvalidValue("is not a whole number, or is too long")
    return int(raw)


def _parse_count(raw: object) -> Count:
    number = _parse_whole_number(raw)
    if number < 0:
        raise InvalidValue("is negative")
    return number


def _parse_port(raw: object) -> Port:
    number = _parse_whole_number(raw)
    if not 1 <= number <= 65535:  # noqa: PLR2004  # TCP's own bounds
        raise InvalidValue("is not between 1 and 65535")
    return number


def _parse_scalar(raw: object) -> Scalar:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, int | float):
        _any_text(raw)
        return raw
    return _any_text(raw)


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _parse_uuid(raw: object) -> Uuid:
    value = parse_text(raw).lower()
    if addresses.is_address(value):
        raise InvalidValue("is an address", "the ID alone: `bridge configurations`, `views` and `blocks` list IDs")
    if not _UUID.fullmatch(value):
        raise InvalidValue("is not a UUID")
    return value


_NAME_NOT_VALUE = (
    "the NAME of a secret, such as pigment-import-key or projects/acme/secrets/pigment-import-key, never its value"
)
_NOT_HERE = (
    "The key itself belongs under this name into .env, or into Secret Manager; replace it with a new one if others "
    "have seen this file"
)
_SECRET_NAME = re.compile(r"(projects/[A-Za-z0-9:.-]+/secrets/)?[A-Za-z0-9_-]{1,255}")
_PINNED_VERSION = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")


_RANDOM = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9]{20,}|[0-9a-f]{32,}")
"""What no person writes as a name: Looker's client IDs and secrets have 20 and 24 letters and digits, its webhook token
is long too."""
_KEY_FIELDS = ("client_id", "client_secret")


def _is_key(raw: object) -> bool:
    """Whether a value is the key of a vendor, in place of the name of the secret that contains it.

    Pigment's keys are UUIDs or begin with pgmt_.
    """
    if isinstance(raw, Mapping):
        return any(field in raw for field in _KEY_FIELDS)
    if not isinstance(raw, str):
        return False
    is_pair = raw.lstrip().startswith("{") or any(field in raw for field in _KEY_FIELDS)
    return bool(is_pair or raw.startswith("pgmt_") or _UUID.fullmatch(raw.lower()) or _RANDOM.fullmatch(raw))


def _parse_secret_name(raw: object) -> SecretName:
    if _is_key(raw):
        raise InvalidValue("looks like a key itself, not like the name of a secret", f"{_NAME_NOT_VALUE}. {_NOT_HERE}")
    if isinstance(raw, str):
        if _SECRET_NAME.fullmatch(raw):
            return raw
        if _PINNED_VERSION.fullmatch(raw):
            raise InvalidValue(
                "names one version of a secret", "the name without /versions/…, so that new versions are used"
            )
    raise InvalidValue("is not the name of a secret")


_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_API_PATH = re.compile(r"/api(/(4\.0|v1))?$")
"An address of the API may have a path before it, of a proxy. Any other path is that of a page in a browser."
_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


def _parse_url(raw: object) -> Url:
    value = parse_text(raw).strip()
    if re.search(r"[^!-~]", value):
        raise InvalidValue("contains a space or another character that no URL has")
    try:
        parts = urllib.parse.urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidValue("is not a URL") from None
    if parts.scheme not in ("http", "https") or not host or not (_HOST.fullmatch(host) or ":" in host):
        raise InvalidValue("is not a URL")
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(host):
        raise InvalidValue("does not use https", "https://…, or http:// only for an address of this machine")
    address, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    if "@" in parts.netloc or parts.query or parts.fragment:
        advice = "the URL without them" if "@" in parts.netloc else address
        raise InvalidValue("has a user, a query or a fragment", advice)
    if path and not _API_PATH.search(path):
        raise InvalidValue(f"has the path {path}", address)
    return address + _API_PATH.sub("", path).rstrip("/")


def _parse_host(raw: object) -> Host:
    value = parse_text(raw).strip()
    if "://" in value:
        raise InvalidValue("is a URL", "the host name only, or the URL under url")
    if not _HOST.fullmatch(value):
        raise InvalidValue("is not a host name", "the host name only, and the port under port")
    return value


def _parse_cron(raw: object) -> Cron:
    value = parse_text(raw)
    fault = cron_problem(value)
    if fault:
        raise InvalidValue(fault)
    return value


_TIME_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


def _parse_time_zone(raw: object) -> TimeZone:
    value = parse_text(raw)
    if _TIME_ZONE.fullmatch(value):
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # "Europe" is a folder
            pass
        else:
            return value
    raise InvalidValue("is not the name of a time zone")


def _parse_day(raw: object) -> Day:
    try:
        return dt.date.fromisoformat(_parse_filter_value(raw).strip())
    except ValueError:
        raise InvalidValue("is not a date") from None


_STEP = re.compile(r"([0-9]{1,15})(?: *([a-z]+?)s?)?")
_LONGEST_STEP_DAYS = 36_500


def _parse_step(raw: object) -> Step:
    match = _STEP.fullmatch(parse_text(raw).strip().lower())
    if not match:
        raise InvalidValue("is not a duration or a number")
    amount, unit = int(match[1]), match[2] or "number"
    if unit != "number" and unit not in UNIT_DAYS:
        raise InvalidValue("has an unknown unit")
    if amount == 0:
        raise InvalidValue("must be greater than zero")
    step = Step(amount=amount, unit=cast("Unit", unit))
    if step.days > _LONGEST_STEP_DAYS:
        raise InvalidValue("is longer than 100 years")
    return step


def parse_position(raw: object) -> Position:
    """Parse a value of a cursor.

    A Z at the end has no meaning: a copy in a bucket may have an unquoted `2013-01-01` as `2013-01-01T00:00:00Z`, as
    Terraform's yamldecode reads it.

    Raises InvalidValue if it is not a date, a time or a number, or has a UTC offset.
    """
    if isinstance(raw, int | float):
        return _parse_whole_number(raw)
    value = _any_text(raw).strip()
    if re.fullmatch(r"-?[0-9]{1,15}", value):
        return int(value)
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise InvalidValue("is not a date, a time or a number") from None
    if moment.utcoffset():
        raise InvalidValue("has a UTC offset", "the time in the time zone of the query, without an offset")
    return moment.replace(tzinfo=None)


def _parse_share(raw: object) -> Share:
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?) *%", raw.strip()) if isinstance(raw, str) else None
    if not match or float(match[1]) > 100:  # noqa: PLR2004  # per cent
        raise InvalidValue("is not a percentage")
    return float(match[1]) / 100


_BUCKET = re.compile(r"[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]")


def _parse_bucket(raw: object) -> BucketName:
    value = parse_text(raw)
    if not _BUCKET.fullmatch(value):
        raise InvalidValue("is not the name of a bucket")
    return value


_PLACEHOLDERS = re.compile(r"\{(date|time|run)\}")
_FILLED_BYTES = {"date": len("2026-03-01"), "time": len("061503"), "run": len("20260301T061503-1f0c9a2b")}
_LONGEST_PATH_BYTES = 900
"With its placeholders filled. Cloud Storage allows 1,024, of which `exports/` is a part."


def _parse_object_path(raw: object) -> ObjectPath:
    value = parse_text(raw)
    fixed = _PLACEHOLDERS.sub("", value)
    if "{" in fixed or "}" in fixed:
        raise InvalidValue("has an unknown placeholder", "only {date}, {time} and {run}")
    if value.startswith("/") or value.endswith("/") or any(step in ("", ".", "..") for step in value.split("/")):
        raise InvalidValue(
            "is not the name of an object", "it without a / at the start or end, and without empty parts, . and .."
        )
    if value.startswith(".well-known/acme-challenge/"):
        raise InvalidValue("begins with .well-known/acme-challenge/, a reserved name", "another name")
    if not value.isprintable():
        raise InvalidValue("has non-printable characters")
    if len(fixed.encode()) + sum(_FILLED_BYTES[name] for name in _PLACEHOLDERS.findall(value)) > _LONGEST_PATH_BYTES:
        raise InvalidValue(f"can be longer than {_LONGEST_PATH_BYTES} bytes", "a shorter name")
    return value


FORMATS: Mapping[object, ValueFormat] = {
    str: ValueFormat(parse_text, "text"),
    bool: ValueFormat(_parse_flag, "true or false"),
    Uuid: ValueFormat(_parse_uuid, "a UUID as Pigment shows it, such as 3fa85f64-5717-4562-b3fc-2c963f66afa6"),
    LookId: ValueFormat(_parse_look, 'the number of a Look, such as "12"'),
    QuerySlug: ValueFormat(_parse_slug, "the slug of a query"),
    SecretName: ValueFormat(_parse_secret_name, _NAME_NOT_VALUE),
    Url: ValueFormat(_parse_url, "a URL such as https://acme.cloud.looker.com"),
    Host: ValueFormat(_parse_host, "a host name such as acme.cloud.looker.com"),
    Port: ValueFormat(_parse_port, "a port such as 19999"),
    Day: ValueFormat(_parse_day, "a date such as 2027-01-31"),
    Cron: ValueFormat(_parse_cron, 'five fields of unix-cron, such as "15 6 * * *" for every day at 6:15'),
    TimeZone: ValueFormat(_parse_time_zone, "an IANA time zone such as Europe/Paris or UTC"),
    FilterValue: ValueFormat(_parse_filter_value, 'a Looker filter expression in quotes, such as "7 days"'),
    BucketName: ValueFormat(_parse_bucket, "a bucket such as acme-exports, without gs://"),
    ObjectPath: ValueFormat(_parse_object_path, "an object name such as revenue/dt={date}/revenue.csv"),
    Count: ValueFormat(_parse_count, "a whole number such as 1"),
    Share: ValueFormat(_parse_share, "a percentage such as 50%"),
    Step: ValueFormat(
        _parse_step, "a duration such as 1 month or 2 hours, or a number such as 500000 if the cursor is numeric"
    ),
    Position: ValueFormat(parse_position, 'a date such as 2013-01-01, a time such as "2013-01-01 06:00", or a number'),
    Scalar: ValueFormat(_parse_scalar, "text, a number, true or false"),
}
