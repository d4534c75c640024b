"""A contender: what a user would write with `requests` and Google's own client, without any check."""

import json
import os
import sys

import requests
from google.cloud import storage
from google.oauth2.credentials import Credentials


def main(view: str) -> None:
    client = storage.Client("local", Credentials(os.environ["BRIDGE_EMULATOR_TOKEN"]))
    blob = client.bucket(os.environ["BRIDGE_BUCKET"]).blob("sdk.csv")
    with requests.get(
        f"{os.environ['PIGMENT_URL']}/api/export/view/{view}",
        params={"dateFormat": "Iso8601", "fieldDelimiter": "Comma"},
        headers={"Authorization": f"Bearer {os.environ['PIGMENT_KEY']}"},
        stream=True,
        timeout=600,
    ) as answer:
        answer.raise_for_status()
        blob.upload_from_file(answer.raw, content_type="text/csv")
    sys.stdout.write(json.dumps({"size": blob.size}))


main(sys.argv[1])
