"""A contender: dlt with the source for REST APIs and a destination of one's own, as its documents teach both.

https://dlthub.com/docs/dlt-ecosystem/verified-sources/rest_api/basic
https://dlthub.com/docs/dlt-ecosystem/destinations/destination ("Custom destination: Reverse ETL")
"""

import csv
import io
import os
from typing import Any

import dlt  # type: ignore[import-not-found]  # it has an environment of its own
from dlt.sources.helpers import requests  # type: ignore[import-not-found]
from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials  # type: ignore[import-not-found]
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

looker = f"{os.environ['LOOKER_URL']}/api/4.0"
flights = rest_api_source({
    "client": {
        "base_url": looker,
        "auth": OAuth2ClientCredentials(
            access_token_url=f"{looker}/login",
            client_id=os.environ["LOOKER_CLIENT_ID"],
            client_secret=os.environ["LOOKER_CLIENT_SECRET"],
        ),
    },
    "resources": [{
        "name": "flights",
        "endpoint": {"path": "looks/12/run/json", "params": {"limit": -1}, "paginator": "single_page"},
    }],
})  # fmt: skip


@dlt.destination(batch_size=10_000_000, name="pigment")  # type: ignore[untyped-decorator]
def pigment(items: list[dict[str, Any]], _table: Any) -> None:
    file = io.StringIO()
    rows = csv.DictWriter(file, list(items[0]))
    rows.writeheader()
    rows.writerows(items)
    answer = requests.post(
        f"{os.environ['PIGMENT_URL']}/api/v1/import/push/csv",
        params={"configurationId": os.environ["CONFIGURATION"]},
        headers={"Authorization": f"Bearer {os.environ['PIGMENT_KEY']}", "Content-Type": "text/csv"},
        data=file.getvalue().encode(),
    )
    answer.raise_for_status()


print(dlt.pipeline("flights", destination=pigment).run(flights))  # noqa: T201  # as dlt teaches
