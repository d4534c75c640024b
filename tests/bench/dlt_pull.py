"""A contender: dlt's incremental loading by a column of modification times. It runs if dlt is installed.

It does not detect a row that changed without a later time, and stores its state on the local disk.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import dlt  # type: ignore[import-not-found]  # it has an environment of its own
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import requests

_POLL_S = 0.1
_LOOKER = f"{os.environ['LOOKERSDK_BASE_URL']}/api/4.0"
_IMPORTS = f"{os.environ['PIGMENT_URL']}/api/v1/import"
_PIGMENT = {"Authorization": f"Bearer {os.environ['PIGMENT_KEY']}"}


def _tables(query: dict[str, Any]) -> Iterator[pa.Table]:
    client = {"client_id": os.environ["LOOKERSDK_CLIENT_ID"], "client_secret": os.environ["LOOKERSDK_CLIENT_SECRET"]}
    token = requests.post(f"{_LOOKER}/login", data=client, timeout=60).json()["access_token"]
    authorization = {"Authorization": f"token {token}"}
    with requests.post(
        f"{_LOOKER}/queries/run/csv", json=query, headers=authorization, stream=True, timeout=600
    ) as answer:
        answer.raise_for_status()
        answer.raw.decode_content = True
        names = [f"c{place}" for place in range(len(query["fields"]))]
        yield from arrow_csv.open_csv(
            answer.raw,
            arrow_csv.ReadOptions(column_names=names, skip_rows=1),
            arrow_csv.ParseOptions(newlines_in_values=True),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )


def main(folder: str, query: dict[str, Any], header: list[str], updated: int) -> None:
    states = []

    @dlt.resource(name="flights", write_disposition="append")  # type: ignore[untyped-decorator]
    def flights(_since: Any = dlt.sources.incremental(f"c{updated}", initial_value="")) -> Iterator[pa.Table]:  # noqa: B008  # dlt finds it there
        yield from map(pa.Table.from_batches, ([batch] for batch in _tables(query)))

    @dlt.destination(batch_size=0, loader_file_format="parquet", name="pigment", naming_convention="direct")  # type: ignore[untyped-decorator]
    def push(path: str, _table: Any) -> None:
        rows = pq.read_table(path).select([f"c{place}" for place in range(len(header))])
        states.append(_land(rows, header))

    pipeline = dlt.pipeline("flights", destination=push, pipelines_dir=folder)
    pipeline.run(flights())
    sys.stdout.write(json.dumps(states))


def _land(rows: pa.Table, header: list[str]) -> dict[str, Any]:
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(rows.rename_columns(header), sink, arrow_csv.WriteOptions(quoting_style="needed"))
    answer = requests.post(
        f"{_IMPORTS}/push/csv",
        params={"configurationId": os.environ["PIGMENT_CONFIGURATION"]},
        data=sink.getvalue().to_pybytes(),
        headers={**_PIGMENT, "Content-Type": "text/csv"},
        timeout=600,
    )
    answer.raise_for_status()
    status = f"{_IMPORTS}/{answer.json()['importId']}/status?includedDetailedReport=true"
    while (state := requests.get(status, headers=_PIGMENT, timeout=60).json())["importStatus"] == "InProgress":
        time.sleep(_POLL_S)
    return dict(state)


main(sys.argv[1], *json.loads(sys.argv[2]))
