"""The content of bridge.yaml: each section is a struct, and each key is a field with a docstring.

A field has the name of its key, except that `and_` and `or_` stand for the keys `and` and `or`, which are reserved in
Python. Two fields are not keys of the file: the `name` of a job is the key above its section, and `warnings` are added
by the decoder.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, TypeVar

from msgspec import Struct, field

from common.platform.errors import NoSuchJob

Uuid = Annotated[str, "Uuid"]
SecretName = Annotated[str, "SecretName"]
"The name of a secret in Secret Manager, or `projects/…/secrets/…`; never its value."
Url = Annotated[str, "Url"]
"The URL of a vendor, without the path of its API and without a slash at the end."
Host = Annotated[str, "Host"]
Port = Annotated[int, "Port"]
LookId = Annotated[str, "LookId"]
QuerySlug = Annotated[str, "QuerySlug"]
Cron = Annotated[str, "Cron"]
TimeZone = Annotated[str, "TimeZone"]
FilterValue = Annotated[str, "FilterValue"]
"A Looker filter expression such as `7 days` or `JFK,LGA`. An empty one matches any value."
Columns = Annotated[Mapping[str, str], "Columns"]
"A mapping in the file or, where the order matters, a list of pairs."
BucketName = Annotated[str, "BucketName"]
ObjectPath = Annotated[str, "ObjectPath"]
Count = Annotated[int, "Count"]
Share = Annotated[float, "Share"]
"Written `50%`, decoded as 0.5."

Day = Annotated[dt.date, "Day"]
Position = dt.datetime | int
"A value of a cursor: a local time in the time zone of the query, or a number."
Grain = Literal["number", "second", "minute", "hour", "day"]
"The smallest step between two values of a cursor."
Scalar = str | int | float | bool
Delimiter = Literal[",", ";"]
Engine = Literal["function", "bigquery"]
"What compares files."
NotifyFormat = Literal["slack", "teams", "chat", "json"]
NotifyEvent = Literal["failed", "late", "recovered", "held", "not_equal"]
ColumnType = Literal["text", "number", "decimal", "date", "timestamp", "datetime", "boolean"]
Unit = Literal["number", "second", "minute", "hour", "day", "week", "month", "quarter", "year"]


UNIT_DAYS: Mapping[str, float] = {
    "second": 1 / 86_400,
    "minute": 1 / 1_440,
    "hour": 1 / 24,
    "day": 1,
    "week": 7,
    "month": 30,
    "quarter": 91,
    "year": 365,
}
"About how many days a unit of time has."


class Step(Struct, frozen=True, kw_only=True):
    """A distance between two values of a cursor: `1 month`, `2 hours`, or `500000` for a numeric cursor."""

    amount: int
    unit: Unit

    @property
    def days(self) -> float:
        """About how many days it is; none if it is a number."""
        return self.amount * UNIT_DAYS.get(self.unit, 0)


class CallLimits(Struct, frozen=True, kw_only=True):
    """How many calls of Looker's API a licence holds in a calendar month."""

    query: Count
    "Query-based calls, which read or run a query."
    administrative: Count
    "All others, except for logins and logouts."


class LookerSettings(Struct, frozen=True, kw_only=True):
    """The Looker instance that the pulls read. Every key is optional until a pull needs it."""

    credentials: SecretName = ""
    'The secret with the API key of the Looker user: {"client_id": "…", "client_secret": "…"}.'
    url: Url = ""
    "The URL of the instance. It uses https, unless it is an address of this machine."
    host: Host = ""
    "The host name, as an alternative to `url`. An older instance also needs `port` or `region`."
    port: Port = 0
    "The port of the API, such as 19999."
    region: Host = ""
    "The part after `.api.` in the host name of the API, such as us-west.looker.com."
    web_url: Url = ""
    "The URL at which people open Looker, if it has another host than the API. The rows of an action come from there."
    licence: Literal["standard", "enterprise", "embed"] | None = None
    "The edition of Looker, whose calls per month `bridge check` compares with the schedules. Default: it does not."
    calls_per_month: CallLimits | None = None
    "The calls per month in your contract, in place of `licence`."

    @property
    def base_url(self) -> str:
        """The URL before `/api/4.0`."""
        if self.url or not self.host:
            return self.url
        if self.region:
            return f"https://{self.host}.api.{self.region}"
        return f"https://{self.host}:{self.port}" if self.port else f"https://{self.host}"


class PigmentSettings(Struct, frozen=True, kw_only=True):
    """The Pigment workspace that imports write to and exports read."""

    url: Url = "https://pigment.app"
    "The URL of Pigment; it is the same for all workspaces."
    import_key: SecretName = ""
    "The secret with an API key of the scope Import. Pulls and relays need it."
    export_key: SecretName = ""
    "The secret with an API key of the scope Export. Exports need it."


class WebhookSettings(Struct, frozen=True, kw_only=True):
    """The authentication of Looker's webhook deliveries."""

    token: SecretName = ""
    "The secret with Looker's webhook token. Its two newest enabled versions are accepted, so that it can be rotated."


class SecretSettings(Struct, frozen=True, kw_only=True):
    """The expiry of a secret."""

    expires: Day
    "The first day on which the vendor no longer accepts it, as Pigment shows it for a key."


class Notify(Struct, frozen=True, kw_only=True):
    """Messages to people when the state of a job changes. A sweep sends them."""

    webhook: SecretName
    "The secret with the address that takes the messages, which the chat service shows once."
    format: NotifyFormat
    "The service that receives them. `json` is for a program of your own."
    events: tuple[NotifyEvent, ...] = ("failed", "late", "recovered", "held", "not_equal")
    "The changes to tell of. Default: all of them. Each is told once, not again while it lasts."


class QueryOptions(Struct, frozen=True, kw_only=True):
    filters: Mapping[str, FilterValue] = {}
    "By `view.field`. They replace the filters of the Look or query on these fields."
    query_timezone: TimeZone | None = None
    "The time zone in which dates are filtered and shown. Default: that of the Look or query, else of the Looker user."


class SavedQueryOptions(QueryOptions, frozen=True, kw_only=True):
    limit: Literal["all", "look"] = "all"
    "`all` reads all rows. `look` keeps the row limit that is saved with the Look or query, as of a top 10."


class LookSource(SavedQueryOptions, frozen=True, kw_only=True):
    """A saved Look."""

    look: LookId
    "The number in the URL of the Look."


class QuerySource(SavedQueryOptions, frozen=True, kw_only=True):
    """A query that was run in Looker before."""

    query: QuerySlug
    "Its slug, which is `qid=…` in the URL of the Explore."


class InlineQuery(Struct, frozen=True, kw_only=True):
    """The parts of a query."""

    model: str
    "The LookML model."
    view: str
    "The name of the Explore. Looker's API calls it a view."
    fields: tuple[str, ...]
    "The columns by `view.field`, in this order."
    filters: Mapping[str, FilterValue] = {}
    "By `view.field`."
    sorts: tuple[str, ...] = ()
    "The order of the rows, such as `flights.date desc`. A query without sorts starts to stream sooner."


class ExploreSource(QueryOptions, frozen=True, kw_only=True):
    """A query that is defined in bridge.yaml."""

    explore: InlineQuery
    "The query."


class ResourceSource(Struct, frozen=True, kw_only=True):
    """Objects of Looker itself, one row for each."""

    resource: Literal["dashboards", "folders", "looks", "projects", "queries", "users"]
    "The kind of objects. `queries` are those that were run, from System Activity."


Source = LookSource | QuerySource | ExploreSource | ResourceSource


class Incremental(Struct, frozen=True, kw_only=True):
    """Load the rows after the last load, in windows."""

    cursor: str
    "The field whose values grow, as `view.field`. It does not have to be a column."
    start: Position
    "The start of the first run: a date, a time or a number."
    window: Step
    "The size of one import."
    overlap: Step | None = None
    "How far each run goes back to load rows that appeared late. Only for a repeatable target."
    delay: Step | None = None
    "How long a row can take to appear in Looker. A run ends its last window that long before the present."


class Changes(Struct, frozen=True, kw_only=True):
    """Load only the rows that are new or changed since the last import."""

    key: tuple[str, ...]
    "The columns that identify a row, by their headers in Looker."
    engine: Engine = "function"
    "`bigquery` compares in BigQuery, for tens of millions of rows."


Load = Literal["full"] | Incremental | Changes


class Target(Struct, frozen=True, kw_only=True):
    """A Pigment import configuration."""

    configuration: Uuid
    "Its ID, from Block > Settings > Import configurations > … > Copy ID."
    repeatable: bool = False
    "Whether rows can safely be sent twice: the list has a unique ID, or the import overwrites."
    delimiter: Delimiter = ","
    "The separator in the sample file of the import configuration."
    columns: Columns = {}
    "The columns to send, in this order: Looker's header and Pigment's. Default: all columns, unchanged."
    shared: bool = False
    "Whether other jobs may import with the same configuration."
    via: Literal["push", "storage"] = "push"
    "`push` sends the file to Pigment. `storage` writes it for Pigment's Cloud Storage connector and starts the import."
    bucket: BucketName = ""
    "The bucket of the connector."
    path: ObjectPath = ""
    "The name of the object: with {date} if the connector reads the newest date, otherwise a fixed name."


class Guards(Struct, frozen=True, kw_only=True):
    """Checks before a file is published."""

    min_rows: Count = 1
    "A file with fewer rows is refused."
    max_shrink: Share | None = None
    "A file whose number of rows fell by more since the last run is refused. Default: no limit."


class Approval(Struct, frozen=True, kw_only=True):
    """How much may differ from the file that landed last before a run waits for a person.

    Rows are compared by `load.changes.key`, and without a key as a whole. Where no file landed before, nothing is held.
    """

    max_changed: Share | None = None
    "The share of the rows that landed last which may be changed or gone. Default: no limit."
    max_deleted: Count | None = None
    "How many rows may be gone: by key or, without a key, how many fewer rows there are. Default: no limit."


class LandingGuards(Guards, frozen=True, kw_only=True):
    """Checks before and after an import."""

    max_skipped: Count = 0
    "If Pigment skips more rows, the run fails."
    max_deleted: Count | None = None
    "If Pigment deletes more rows, the load stops. Default: 0 for incremental and changes, otherwise no limit."
    samples: Count = 0
    "How many of the rows that Pigment skips for one reason the receipt shows, at most 100. They contain data."
    approve: Approval | None = None
    "A file that differs more is stored until a person runs `bridge approve` or `bridge reject`. Default: none is."
    accept_cap: bool = False
    "Accept a number of rows that is exactly one of Looker's limits, which otherwise counts as truncated."
    accept_error_text: bool = False
    "Accept a last row that reads like an error text of the database, such as `Error: …`, if such rows are data."


class Verify(Struct, frozen=True, kw_only=True):
    """Read a block back after each import, and compare it with what was sent."""

    source: "ExportSource"
    "The view or block that the import fills, with the filters that select this job's rows. Headers are friendly ones."
    key: tuple[str, ...] = ()
    "The columns that identify a row, by their headers in Looker. Default: those of `changes`."
    columns: Columns = {}
    "Columns whose names differ: the header in Looker and the one that Pigment exports."
    ignore: tuple[str, ...] = ()
    "Columns that are not compared, by their headers in Looker."
    accept_extra: bool = False
    "Accept rows in the block that this job did not send."
    day_first: bool = False
    "Whether 03/04/2024 was sent for 3 April. ISO dates, which Looker sends, need no setting."
    engine: Engine = "function"
    "`bigquery` compares in BigQuery, for tens of millions of rows. Not for incremental loads."
    show: bool = False
    "Whether the receipt shows the values of up to ten rows that differ, and not only their keys. They are data."


class KnownColumn(Struct, frozen=True, kw_only=True):
    """The items that a column may have."""

    list: Uuid
    "The ID of the list in Pigment."
    property: str
    "The property by which the import finds the items, as Pigment shows its name."


class Known(Struct, frozen=True, kw_only=True):
    """Columns whose values must be items of a list in Pigment. It needs `pigment.export_key`."""

    columns: Mapping[str, KnownColumn]
    "The columns by their headers in Looker. Empty cells are not looked up."
    missing: Literal["refuse", "hold"] = "refuse"
    "`refuse` sends nothing if an item is missing. `hold` sends the other rows."
    max_age: Step = Step(amount=1, unit="hour")
    "How old the cached items may be: seconds to weeks. A missing one is looked up once more. Default: 1 hour."


class ScheduledJob(Struct, frozen=True, kw_only=True):
    name: str
    title: str = ""
    "What the job fills, in the words of the people who use it. The status page shows it."
    notify: Notify | None = None
    "Messages about this job, in place of those for all jobs."
    schedule: Cron | None = None
    "When the job runs. Without it, the job runs on demand."
    time_zone: TimeZone = "UTC"
    "The time zone of the schedule, and of {date} and {time} in paths."


class Pull(ScheduledJob, frozen=True, kw_only=True):
    """Import rows from Looker into Pigment."""

    kind: ClassVar[Literal["pull"]] = "pull"
    source: Source
    "The rows to read."
    load: Load = "full"
    "The rows to load: all, those after a cursor, or the changed ones."
    target: Target
    "The import in Pigment."
    guards: LandingGuards = LandingGuards()
    "The checks of the file and of the import."
    verify: Verify | None = None
    "Read the rows back after the import."
    known: Known | None = None
    "The columns of which all values must exist in Pigment. Default: none is looked up."

    @property
    def compares_in_bigquery(self) -> bool:
        return self.verifies_in_bigquery or (isinstance(self.load, Changes) and self.load.engine == "bigquery")

    @property
    def verifies_in_bigquery(self) -> bool:
        return self.verify is not None and self.verify.engine == "bigquery"

    @property
    def max_deleted(self) -> int | None:
        """How many rows an import may delete; None for any number.

        A load that sends only a part of the rows destroys the others if the import configuration clears.
        """
        default = None if self.load == "full" else 0
        return default if self.guards.max_deleted is None else self.guards.max_deleted


class Relay(Struct, frozen=True, kw_only=True):
    """Import Looker's webhook deliveries into Pigment."""

    kind: ClassVar[Literal["relay"]] = "relay"
    name: str
    title: str = ""
    "What the relay fills, in the words of the people who use it. The status page shows it."
    notify: Notify | None = None
    "Messages about this relay, in place of those for all jobs."
    target: Target
    "The import in Pigment."
    keep: Literal["every", "latest"] = "every"
    "`every` imports all deliveries. With `latest`, a newer delivery replaces one that is not imported yet."
    accept_filters: bool = False
    "Accept deliveries of a schedule whose filters differ from those of its Look, which are otherwise refused."
    guards: LandingGuards = LandingGuards()
    "The checks of the file and of the import."
    verify: Verify | None = None
    "Read the rows back after the import."
    known: Known | None = None
    "The columns of which all values must exist in Pigment. Default: none is looked up."

    @property
    def compares_in_bigquery(self) -> bool:
        return self.verifies_in_bigquery

    @property
    def verifies_in_bigquery(self) -> bool:
        return self.verify is not None and self.verify.engine == "bigquery"

    @property
    def max_deleted(self) -> int | None:
        """How many rows an import may delete; None for any number."""
        return self.guards.max_deleted


class Signal(Struct, frozen=True, kw_only=True):
    """A relay whose deliveries only start a pull."""

    kind: ClassVar[Literal["relay"]] = "relay"
    name: str
    start: str
    "The name of the pull."


class DimensionFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """Select the rows of some items of a dimension."""

    dimension_id: Uuid
    "The ID of the dimension."
    modality_ids: tuple[Uuid, ...]
    "The IDs of the items."


class PropertyFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """Select the items of a list by the value of a property."""

    property_technical_name: str
    "The technical name of the property."
    modality_ids: tuple[Uuid, ...]
    "The IDs of the selected values."


class Condition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A comparison with the value of a metric."""

    type: Literal["LessThan", "LessThanOrEqual", "Equal", "NotEqual", "GreaterThan", "GreaterThanOrEqual", "IsNotBlank"]
    "The operator."
    value: Scalar | None = None
    "The value to compare with. IsNotBlank has none."


class ValueFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """Select the rows whose metric meets a condition."""

    metric_id: Uuid
    "The ID of the metric."
    condition: Condition
    "The condition."


class AllOf(Struct, frozen=True, kw_only=True, tag_field="type", tag="And"):
    """Rows that match all of several filters."""

    and_: "tuple[ExportFilter, ...]" = field(name="and")
    "The filters."


class AnyOf(Struct, frozen=True, kw_only=True, tag_field="type", tag="Or"):
    """Rows that match at least one of several filters."""

    or_: "tuple[ExportFilter, ...]" = field(name="or")
    "The filters."


class ByDimension(Struct, frozen=True, kw_only=True, tag_field="type", tag="Dimension"):
    """Rows that match a filter on a dimension."""

    dimension: DimensionFilter
    "The filter."


class ByValue(Struct, frozen=True, kw_only=True, tag_field="type", tag="Value"):
    """Rows that match a filter on the values of a metric."""

    value: ValueFilter
    "The filter."


ExportFilter = AllOf | AnyOf | ByDimension | ByValue
"Its JSON, as msgspec encodes it, is that of Pigment's API."


class TableField(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One column in the export of a table."""

    type: Literal["DimensionField", "ScenarioField", "ValueField"]
    "The content of the column."
    source_id: Uuid | None = None
    "The ID of the dimension or metric. ScenarioField has none."
    display_name: str | None = None
    "The header in the file."


class ViewSource(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A view as Pigment shows it. Pigment refuses to export large views."""

    view: Uuid
    "Its ID, which is `viewId=…` in the URL of the view."
    delimiter: Delimiter = field(default=",", name="fieldDelimiter")
    "The separator in the file."


class BlockOptions(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The format of an exported block. The defaults are those of Pigment, except for the separator."""

    friendly_headers: bool = False
    "Headers with the names shown in Pigment, not technical names. They change when someone renames a property."
    delimiter: Delimiter = field(default=",", name="fieldDelimiter")
    "The separator in the file."
    decimal_separator: Literal["Dot", "Comma"] = "Dot"
    "The decimal separator."
    encoding: Literal["Utf8WithBom", "Utf8WithoutBom"] | None = None
    "UTF-8 with a byte order mark, which Excel expects, or without."


class ListSource(BlockOptions, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A complete list."""

    list: Uuid
    "The ID of the list."
    properties: tuple[str, ...] = field(default=(), name="propertyTechnicalNames")
    "The technical names of the properties to export, in this order. Default: all."
    list_filter: tuple[Uuid, ...] = ()
    "The IDs of the items to export. Default: all."
    property_filters: tuple[PropertyFilter, ...] = ()
    "Filters on the properties of the items."


class FilteredBlock(BlockOptions, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    scenarios: tuple[Uuid, ...] = ()
    "The IDs of the scenarios to export. Default: the default scenario, without a column for it."
    filters: tuple[DimensionFilter, ...] = ()
    "Filters on dimensions. Pigment now recommends `export_filter`."
    export_filter: ExportFilter | None = None
    "The filter for the rows to export."


class MetricSource(FilteredBlock, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A complete metric."""

    metric: Uuid
    "The ID of the metric."


class TableSource(FilteredBlock, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A complete table."""

    table: Uuid
    "The ID of the table."
    metrics: tuple[Uuid, ...] = ()
    "The IDs of the metrics to export. Default: all."
    fields: tuple[TableField, ...] = ()
    "The columns to export, in this order."


BlockSource = ListSource | MetricSource | TableSource
ExportSource = ViewSource | ListSource | MetricSource | TableSource


class Export(ScheduledJob, frozen=True, kw_only=True):
    """Export a view or block from Pigment to Cloud Storage."""

    kind: ClassVar[Literal["export"]] = "export"
    source: ExportSource
    "The view or block to read."
    fallback: BlockSource | None = None
    "The block to read if Pigment answers that the view is too big."
    date_format: Literal["Iso8601", "Legacy"] = "Iso8601"
    "`Iso8601` writes `2024-11-21`. `Legacy` writes the older formats of Pigment."
    path: ObjectPath
    "The object's name, with {date}, {time} and {run}. Without any of them, each run replaces the object."
    bucket: BucketName = ""
    "A bucket of your own. Default: `exports/` in the bucket of the bridge."
    format: Literal["csv", "parquet"] = "csv"
    "The format of the object."
    compress: Literal["gzip"] | None = None
    "Compression for CSV. Parquet is always compressed."
    columns: Mapping[str, ColumnType] = {}
    "The types of columns, by Pigment's headers. A value of another type is refused. Default: as the values are."
    bigquery: bool = False
    "Whether an external table of BigQuery reads the object. Then `columns` is the whole header, in order, or empty."
    guards: Guards = Guards()
    "The checks of the file."


AnyRelay = Relay | Signal
AnyImport = Pull | Relay
"A job that sends rows to Pigment."
Job = Pull | AnyRelay | Export
J = TypeVar("J", Pull, Export)


class Bridge(Struct, frozen=True, kw_only=True):
    """The whole file."""

    looker: LookerSettings = LookerSettings()
    "The Looker instance. Pulls need it."
    pigment: PigmentSettings = PigmentSettings()
    "The Pigment workspace. All jobs need it."
    webhook: WebhookSettings = WebhookSettings()
    "The authentication of webhook deliveries. Relays need it."
    secrets: Mapping[str, SecretSettings] = {}
    "The expiry of secrets, by the name used above. An alert is sent before a secret expires."
    notify: Notify | None = None
    "Messages about all jobs."
    pulls: Mapping[str, Pull] = {}
    "Jobs that import from Looker into Pigment, on a schedule."
    relays: Mapping[str, AnyRelay] = {}
    "Jobs that import webhook deliveries from Looker into Pigment."
    exports: Mapping[str, Export] = {}
    "Jobs that export from Pigment to Cloud Storage, on a schedule."
    warnings: tuple[str, ...] = ()

    def jobs(self) -> Iterator[Job]:
        yield from self.pulls.values()
        yield from self.relays.values()
        yield from self.exports.values()

    def notify_secrets(self) -> set[str]:
        """The secrets with the addresses of messages."""
        of_jobs = [job.notify for job in self.jobs() if not isinstance(job, Signal)]
        return {each.webhook for each in (self.notify, *of_jobs) if each}

    def job(self, name: str) -> Job | None:
        return self.pulls.get(name) or self.relays.get(name) or self.exports.get(name)

    def find(self, kind: type[J], name: str) -> J:
        """Return the job of this kind and name. Raises NoSuchJob, which lists the names of this kind, otherwise."""
        job = self.job(name)
        if isinstance(job, kind):
            return job
        problem = f"is of kind {job.kind}, not {kind.kind}" if job else "does not exist"
        known = ", ".join(sorted(each.name for each in self.jobs() if isinstance(each, kind))) or "none"
        alike = "" if job else _alike(name, [each.name for each in self.jobs() if isinstance(each, kind)])
        next_step = f"Did you mean {alike}?" if alike else None
        raise NoSuchJob(f"The job {name} {problem}. {kind.kind.capitalize()}s: {known}.", next_step=next_step)


def _alike(name: str, names: list[str]) -> str:
    import difflib  # noqa: PLC0415  # a call with a known name never needs it

    return next(iter(difflib.get_close_matches(name[:63], names, n=1)), "")
