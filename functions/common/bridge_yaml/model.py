"""What bridge.yaml can say: each section is a struct, each key a field with what it decides.

A field is the key of the same name (`and_` is `and`, which Python keeps to itself). The file does not hold a job's
`name`, which is the key it stands under, nor its own `warnings`: reading it yields them.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, TypeVar

from msgspec import Struct, field

from common.platform.errors import NoSuchJob

Uuid = Annotated[str, "Uuid"]
SecretName = Annotated[str, "SecretName"]
"The name of a secret in Secret Manager, or `projects/…/secrets/…`; never the secret itself."
Url = Annotated[str, "Url"]
"Where a vendor answers, without the path of its API and without a slash at its end."
Host = Annotated[str, "Host"]
Port = Annotated[int, "Port"]
Cron = Annotated[str, "Cron"]
TimeZone = Annotated[str, "TimeZone"]
FilterValue = Annotated[str, "FilterValue"]
"A Looker filter expression, such as `7 days` or `JFK,LGA`; empty means any value."
Columns = Annotated[Mapping[str, str], "Columns"]
"Written as a mapping or, where the order counts, as a list of pairs."
Bucket = Annotated[str, "Bucket"]
ObjectPath = Annotated[str, "ObjectPath"]
Count = Annotated[int, "Count"]
Share = Annotated[float, "Share"]
"Written `50%`, held as 0.5."

Day = Annotated[dt.date, "Day"]
Position = dt.datetime | int
"Where a cursor stands: a wall-clock time in the query's time zone, or a number."
Grain = Literal["number", "second", "minute", "hour", "day"]
"The smallest step between two values of a cursor."
Scalar = str | int | float | bool
Delimiter = Literal[",", ";"]
Unit = Literal["number", "second", "minute", "hour", "day", "week", "month", "quarter", "year"]


class Step(Struct, frozen=True, kw_only=True):
    """A way along a cursor: `1 month`, `2 hours`, or `500000` for a cursor of numbers."""

    amount: int
    unit: Unit


class LookerSettings(Struct, frozen=True, kw_only=True):
    """The Looker instance that is read. What is not given is empty; a job that needs it makes that a fault."""

    credentials: SecretName = ""
    'The secret that holds {"client_id": "…", "client_secret": "…"}.'
    url: Url = ""
    "The instance's address; https, but for an address of this machine."
    host: Host = ""
    "In place of `url`: the host alone, with `port` or `region` where an older instance needs one."
    port: Port = 0
    "The API's port, such as 19999."
    region: Host = ""
    "What follows `.api.` in the API's address, such as us-west.looker.com."

    @property
    def base_url(self) -> str:
        """The address in front of `/api/4.0`."""
        if self.url or not self.host:
            return self.url
        if self.region:
            return f"https://{self.host}.api.{self.region}"
        return f"https://{self.host}:{self.port}" if self.port else f"https://{self.host}"


class PigmentSettings(Struct, frozen=True, kw_only=True):
    """The Pigment workspace that is written and read."""

    url: Url = "https://pigment.app"
    "Pigment's address; all workspaces share it."
    import_key: SecretName = ""
    "The secret that holds an API key with the scope Import; pulls and relays need it."
    export_key: SecretName = ""
    "The secret that holds an API key with the scope Export; exports need it."


class WebhookSettings(Struct, frozen=True, kw_only=True):
    """Where Looker's deliveries come in."""

    token: SecretName = ""
    "The secret that holds Looker's webhook token; its two newest enabled versions are accepted."


class SecretCare(Struct, frozen=True, kw_only=True):
    """What is known of a secret, beside its name."""

    expires: Day
    "The first day on which the vendor no longer takes it, as Pigment shows it for a key."


class LookSource(Struct, frozen=True, kw_only=True):
    """A saved Look."""

    look: str
    "The number in the Look's address."
    filters: Mapping[str, FilterValue] = {}
    "By `view.field`; merged over the Look's own."
    query_timezone: TimeZone | None = None
    "The time zone that dates are filtered and shown in; without it, the Look's own."


class QuerySource(Struct, frozen=True, kw_only=True):
    """Any query that was run in Looker."""

    query: str
    "Its slug: `qid=…` in the Explore's address."
    filters: Mapping[str, FilterValue] = {}
    "By `view.field`; merged over the query's own."
    query_timezone: TimeZone | None = None
    "The time zone that dates are filtered and shown in; without it, the query's own."


class InlineQuery(Struct, frozen=True, kw_only=True):
    """A query written out."""

    model: str
    "The LookML model."
    view: str
    "The Explore's name; Looker's API calls it a view."
    fields: tuple[str, ...]
    "By `view.field`, in the order of the columns."
    filters: Mapping[str, FilterValue] = {}
    "By `view.field`."
    sorts: tuple[str, ...] = ()
    "Such as `flights.date desc`; a query without sorts streams sooner."


class ExploreSource(Struct, frozen=True, kw_only=True):
    """A query that bridge.yaml itself holds."""

    explore: InlineQuery
    "The query."
    filters: Mapping[str, FilterValue] = {}
    "Merged over the query's own."
    query_timezone: TimeZone | None = None
    "The time zone that dates are filtered and shown in; without it, that of Looker's user."


class ResourceSource(Struct, frozen=True, kw_only=True):
    """What Looker holds itself, one row each."""

    resource: Literal["dashboards", "folders", "looks", "projects", "queries", "users"]
    "What is listed; queries are those that were run, from System Activity."


Source = LookSource | QuerySource | ExploreSource | ResourceSource


class Incremental(Struct, frozen=True, kw_only=True):
    """Window by window, from where the last landing ended."""

    cursor: str
    "The field that grows, as `view.field`; it need not be a column."
    start: Position
    "Where the first run begins: a date, a time or a number."
    window: Step
    "How much one landing takes."
    overlap: Step | None = None
    "How far each run reaches back for rows that came late; only for a repeatable target."
    delay: Step | None = None
    "How long a row may take to appear in Looker: a run stops that far short of now, and the next one reads on."


class Changes(Struct, frozen=True, kw_only=True):
    """Only the rows that are new or changed since the last landed file."""

    key: tuple[str, ...]
    "The columns, as Looker heads them, that tell one row from another."


Load = Literal["full"] | Incremental | Changes


class Target(Struct, frozen=True, kw_only=True):
    """A Pigment import configuration."""

    configuration: Uuid
    "Its id: Block > Settings > Import configurations > … > Copy ID."
    repeatable: bool = False
    "Sending the same rows again does no harm: the list has a unique id, or the import overwrites."
    delimiter: Delimiter = ","
    "The separator of the sample that the configuration was made from."
    columns: Columns = {}
    "Looker's header to Pigment's: which columns Pigment gets, in this order; without it, all as they come."
    shared: bool = False
    "Other jobs land there too, and that is meant."
    via: Literal["push", "storage"] = "push"
    "`storage` leaves the file in a bucket that Pigment's Cloud Storage connector reads, then starts the import."
    bucket: Bucket = ""
    "The connector's bucket."
    path: ObjectPath = ""
    "The file's name there: flights/flights-{date}.csv where the connector takes the newest date, or a fixed name."


class Guards(Struct, frozen=True, kw_only=True):
    """When a file is too suspicious to publish."""

    min_rows: Count = 1
    "Fewer rows than this are refused."
    max_shrink: Share | None = None
    "A greater fall than this against the last run is refused; without it, none is."


class LandingGuards(Guards, frozen=True, kw_only=True):
    """When a file is too suspicious to land, and when a landing has failed."""

    max_skipped: Count = 0
    "More rows than this skipped by Pigment, and the run has failed."
    accept_cap: bool = False
    "Take it for a coincidence when the number of rows is exactly one of Looker's caps."


class Pull(Struct, frozen=True, kw_only=True):
    """Looker's rows into Pigment."""

    kind: ClassVar[Literal["pull"]] = "pull"
    name: str
    schedule: Cron | None = None
    "When it runs; without one, by hand or when a relay starts it."
    time_zone: TimeZone = "UTC"
    "The time zone of the schedule."
    source: Source
    "What is read."
    load: Load = "full"
    "How much of it."
    target: Target
    "Where it lands."
    guards: LandingGuards = LandingGuards()
    "What is refused."


class Relay(Struct, frozen=True, kw_only=True):
    """Looker's webhook deliveries into Pigment."""

    kind: ClassVar[Literal["relay"]] = "relay"
    name: str
    target: Target
    "Where a delivery lands."
    keep: Literal["every", "latest"] = "every"
    "`latest`: a newer delivery replaces one that has not landed yet."
    guards: LandingGuards = LandingGuards()
    "What is refused."


class Signal(Struct, frozen=True, kw_only=True):
    """A relay whose deliveries only say that it is time to pull."""

    kind: ClassVar[Literal["relay"]] = "relay"
    name: str
    start: str
    "The pull that a delivery starts."


class DimensionFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """Keep the rows of these items of a dimension."""

    dimension_id: Uuid
    "The dimension."
    modality_ids: tuple[Uuid, ...]
    "Its items."


class PropertyFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """Keep the items of a list whose property is one of these."""

    property_technical_name: str
    "The property, by its technical name."
    modality_ids: tuple[Uuid, ...]
    "The items it may be."


class Condition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a metric's value must be."""

    type: Literal["LessThan", "LessThanOrEqual", "Equal", "NotEqual", "GreaterThan", "GreaterThanOrEqual", "IsNotBlank"]
    "How it is compared."
    value: Scalar | None = None
    "With what; nothing for IsNotBlank."


class ValueFilter(Struct, frozen=True, kw_only=True, rename="camel"):
    """Keep the rows whose metric meets a condition."""

    metric_id: Uuid
    "The metric."
    condition: Condition
    "The condition."


class AllOf(Struct, frozen=True, kw_only=True, tag_field="type", tag="And"):
    """Every one of several filters."""

    and_: "tuple[ExportFilter, ...]" = field(name="and")
    "The filters."


class AnyOf(Struct, frozen=True, kw_only=True, tag_field="type", tag="Or"):
    """At least one of several filters."""

    or_: "tuple[ExportFilter, ...]" = field(name="or")
    "The filters."


class ByDimension(Struct, frozen=True, kw_only=True, tag_field="type", tag="Dimension"):
    """A filter on a dimension."""

    dimension: DimensionFilter
    "The filter."


class ByValue(Struct, frozen=True, kw_only=True, tag_field="type", tag="Value"):
    """A filter on a metric's values."""

    value: ValueFilter
    "The filter."


ExportFilter = AllOf | AnyOf | ByDimension | ByValue
"msgspec encodes it as Pigment's API has it."


class TableField(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One column of a table's export."""

    type: Literal["DimensionField", "ScenarioField", "ValueField"]
    "What the column holds."
    source_id: Uuid | None = None
    "The dimension or the metric; none for ScenarioField."
    display_name: str | None = None
    "Its header in the file."


class ViewSource(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A view as Pigment shows it, while it is not too big."""

    view: Uuid
    "`viewId=…` in the view's address."
    delimiter: Delimiter = field(default=",", name="fieldDelimiter")
    "The file's separator."


class BlockOptions(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How Pigment writes a block's file; the defaults are Pigment's own, but for the separator."""

    friendly_headers: bool = False
    "Headers as people see them in Pigment, not technical names: these change when someone renames a property."
    delimiter: Delimiter = field(default=",", name="fieldDelimiter")
    "The file's separator."
    decimal_separator: Literal["Dot", "Comma"] = "Dot"
    "The sign before decimals."
    encoding: Literal["Utf8WithBom", "Utf8WithoutBom"] | None = None
    "With a byte order mark, which Excel likes, or without."


class ListSource(BlockOptions, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """All of a list."""

    list: Uuid
    "The list's id."
    properties: tuple[str, ...] = field(default=(), name="propertyTechnicalNames")
    "The properties by technical name, in this order; without it, all."
    list_filter: tuple[Uuid, ...] = ()
    "Only these items."
    property_filters: tuple[PropertyFilter, ...] = ()
    "Only items with these properties."


class MetricSource(BlockOptions, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """All of a metric."""

    metric: Uuid
    "The metric's id."
    scenarios: tuple[Uuid, ...] = ()
    "Which scenarios; without it the default one, and no column that names it."
    filters: tuple[DimensionFilter, ...] = ()
    "Only these items; Pigment now prefers `export_filter`."
    export_filter: ExportFilter | None = None
    "Only what meets it."


class TableSource(BlockOptions, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """All of a table."""

    table: Uuid
    "The table's id."
    metrics: tuple[Uuid, ...] = ()
    "Which of its metrics; without it, all."
    scenarios: tuple[Uuid, ...] = ()
    "Which scenarios; without it the default one, and no column that names it."
    filters: tuple[DimensionFilter, ...] = ()
    "Only these items; Pigment now prefers `export_filter`."
    export_filter: ExportFilter | None = None
    "Only what meets it."
    fields: tuple[TableField, ...] = ()
    "Which columns, in this order."


BlockSource = ListSource | MetricSource | TableSource
ExportSource = ViewSource | ListSource | MetricSource | TableSource


class Export(Struct, frozen=True, kw_only=True):
    """A Pigment block into Cloud Storage."""

    kind: ClassVar[Literal["export"]] = "export"
    name: str
    schedule: Cron | None = None
    "When it runs; without one, by hand."
    time_zone: TimeZone = "UTC"
    "The time zone of the schedule."
    source: ExportSource
    "What is read."
    fallback: BlockSource | None = None
    "What is read instead when Pigment says that the view is too big."
    date_format: Literal["Iso8601", "Legacy"] = "Iso8601"
    "`2024-11-21`, or Pigment's older forms."
    path: ObjectPath
    "The object's name, with {date}, {time} and {run}; without any of them, each run replaces the object."
    bucket: Bucket = ""
    "A bucket of your own; without it, under exports/ in the bridge's."
    format: Literal["csv", "parquet"] = "csv"
    "What the object is."
    compress: Literal["gzip"] | None = None
    "For CSV; Parquet is compressed as it is."
    guards: Guards = Guards()
    "What is refused."


AnyRelay = Relay | Signal
Job = Pull | AnyRelay | Export
J = TypeVar("J", Pull, Export)


class Bridge(Struct, frozen=True, kw_only=True):
    """All of bridge.yaml."""

    looker: LookerSettings = LookerSettings()
    "Where rows come from; pulls need it."
    pigment: PigmentSettings = PigmentSettings()
    "Where they go, and where exports come from."
    webhook: WebhookSettings = WebhookSettings()
    "How deliveries prove themselves; relays need it."
    secrets: Mapping[str, SecretCare] = {}
    "By the secret's name, as written above: those that end some day, so that somebody is told in time."
    pulls: Mapping[str, Pull] = {}
    "Looker to Pigment, by schedule."
    relays: Mapping[str, Relay | Signal] = {}
    "Looker to Pigment, by webhook."
    exports: Mapping[str, Export] = {}
    "Pigment to Cloud Storage, by schedule."
    warnings: tuple[str, ...] = ()

    def jobs(self) -> Iterator[Job]:
        yield from self.pulls.values()
        yield from self.relays.values()
        yield from self.exports.values()

    def job(self, name: str) -> Job | None:
        return self.pulls.get(name) or self.relays.get(name) or self.exports.get(name)

    def find(self, kind: type[J], name: str) -> J:
        """Return the job of this kind and name.

        Raises:
            NoSuchJob: there is none; the message lists the names of this kind.
        """
        job = self.job(name)
        if isinstance(job, kind):
            return job
        problem = f"is of kind {job.kind}, not {kind.kind}" if job else "does not exist"
        known = ", ".join(sorted(each.name for each in self.jobs() if isinstance(each, kind))) or "none"
        raise NoSuchJob(f"The job {name} {problem}. {kind.kind.capitalize()}s: {known}.")
