"""A contender: dlt, from a view of Pigment into Cloud Storage, as its documents teach for APIs and file systems.

https://dlthub.com/docs/dlt-ecosystem/destinations/filesystem. It has no source for CSV over HTTP; a resource reads it.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import dlt  # type: ignore[import-not-found]  # it has an environment of its own
import pyarrow as pa
import pyarrow.csv as arrow_csv
import requests
from google.oauth2.credentials import Credentials


def main(folder: str, view: str) -> None:
    @dlt.resource(name="flights", write_disposition="replace", file_format="csv")  # type: ignore[untyped-decorator]
    def flights() -> Iterator[Any]:
        with requests.get(
            f"{os.environ['PIGMENT_URL']}/api/export/view/{view}",
            params={"dateFormat": "Iso8601", "fieldDelimiter": "Comma"},
            headers={"Authorization": f"Bearer {os.environ['PIGMENT_KEY']}"},
            stream=True,
            timeout=600,
        ) as answer:
            answer.raise_for_status()
            names = answer.raw.readline().decode().strip().split(",")
            yield from arrow_csv.open_csv(
                answer.raw,
                arrow_csv.ReadOptions(column_names=names),
                arrow_csv.ParseOptions(newlines_in_values=True),
                arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
            )

    token = Credentials(os.environ["BRIDGE_EMULATOR_TOKEN"])
    destination = dlt.destinations.filesystem(
        f"gs://{os.environ['BRIDGE_BUCKET']}/dlt", credentials=token, kwargs={"token": token}
    )
    pipeline = dlt.pipeline("flights", destination=destination, dataset_name="flights", pipelines_dir=folder)
    pipeline.run(flights())
    sys.stdout.write(json.dumps({"rows": pipeline.last_trace.last_normalize_info.row_counts["flights"]}))


main(sys.argv[1], sys.argv[2])
