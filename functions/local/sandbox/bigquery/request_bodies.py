"""The bodies of requests, as BigQuery's discovery document describes them: what it does not know is refused.

Only the fields are here that a query over CSV objects can have.
https://bigquery.googleapis.com/discovery/v1/apis/bigquery/v2/rest
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

Int64 = Annotated[str, Meta(pattern=r"^-?\d+$")]
"Google's JSON has numbers of 64 bits as text."
_Label = Annotated[str, Meta(pattern=r"^[\w-]{0,63}$")]


class _Body(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    pass


class TableFieldSchema(_Body, frozen=True):
    name: Annotated[str, Meta(pattern=r"^[A-Za-z_]\w{0,299}$")]
    type: Literal["STRING"]


class TableSchema(_Body, frozen=True):
    fields: list[TableFieldSchema]


class CsvOptions(_Body, frozen=True):
    field_delimiter: str = ","
    skip_leading_rows: Int64 = "0"
    quote: str = '"'
    allow_quoted_newlines: bool = False
    preserve_ascii_control_characters: bool = False


class ExternalDataConfiguration(_Body, frozen=True):
    source_uris: list[Annotated[str, Meta(pattern=r"^gs://[^/]+/.+$")]]
    schema: TableSchema
    source_format: Literal["CSV"]
    csv_options: CsvOptions = CsvOptions()


class JobConfigurationQuery(_Body, frozen=True):
    query: Annotated[str, Meta(max_length=1024 * 1024)]
    use_legacy_sql: bool = True
    table_definitions: Mapping[str, ExternalDataConfiguration] = {}
    maximum_bytes_billed: Int64 | None = None


class JobConfiguration(_Body, frozen=True):
    query: JobConfigurationQuery
    labels: Mapping[_Label, _Label] = {}
    job_timeout_ms: Int64 | None = None
    dry_run: bool = False


class JobReference(_Body, frozen=True):
    project_id: str
    job_id: Annotated[str, Meta(pattern=r"^[\w-]{1,1024}$")] = ""
    location: str = "US"


class InsertedJob(_Body, frozen=True):
    job_reference: JobReference
    configuration: JobConfiguration
