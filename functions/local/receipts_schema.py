"""The schema of the receipts as a table of BigQuery.

`infra/receipts_schema.json` is the output of this module (`make schema`). BigQuery is given the columns, because it
would detect others once a receipt has only nulls in one of them.
"""

import json
import sys
import typing
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from common.bridge_yaml.decode import without_none
from common.runs.receipts import Receipt
from local.bridge_schema import field_docstrings

Column = dict[str, Any]

_NEVER_STORED = ("diff", "preview", "progress")
"They are part of an answer only."
_TIMES = ("started_at",)
_TYPES = {bool: "BOOLEAN", float: "FLOAT", int: "INTEGER", str: "STRING"}


def columns(kind: type[Struct] = Receipt) -> Iterator[Column]:
    """Yield the columns of a struct. A mapping has none: BigQuery reads no object of any keys."""
    told = field_docstrings(kind)
    for field in msgspec.structs.fields(kind):
        if field.encode_name in _NEVER_STORED:
            continue
        column = _column(without_none(field.type))
        if column is None:
            continue
        if field.encode_name in _TIMES:
            column["type"] = "TIMESTAMP"
        description = {"description": told[field.name]} if field.name in told else {}
        yield {"name": field.encode_name, **column, **description}


def _column(kind: Any) -> Column | None:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return {**(_column(arguments[0]) or {}), "mode": "REPEATED"}
    if origin is dict:
        return None
    if origin is Literal:
        return {"type": "STRING", "mode": "NULLABLE"}
    if kind in _TYPES:
        return {"type": _TYPES[kind], "mode": "NULLABLE"}
    return {"type": "RECORD", "mode": "NULLABLE", "fields": list(columns(kind))}


def as_json() -> str:
    return json.dumps(list(columns()), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_json())
