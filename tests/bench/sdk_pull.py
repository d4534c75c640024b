"""A contender: a simple script with Looker's own SDK and `requests`, without any check."""

import json
import os
import sys
import time

import looker_sdk
import requests
from looker_sdk import models40

_POLL_S = 0.1


def main(query: str) -> None:
    sdk = looker_sdk.init40()
    csv = sdk.run_inline_query("csv", models40.WriteQuery(**json.loads(query)))
    api = f"{os.environ['PIGMENT_URL']}/api/v1/import"
    headers = {"Authorization": f"Bearer {os.environ['PIGMENT_KEY']}"}
    answer = requests.post(
        f"{api}/push/csv",
        params={"configurationId": os.environ["PIGMENT_CONFIGURATION"]},
        data=csv.encode(),
        headers={**headers, "Content-Type": "text/csv"},
        timeout=600,
    )
    answer.raise_for_status()
    status = f"{api}/{answer.json()['importId']}/status?includedDetailedReport=true"
    while (state := requests.get(status, headers=headers, timeout=60).json())["importStatus"] == "InProgress":
        time.sleep(_POLL_S)
    sys.stdout.write(json.dumps(state))


main(sys.argv[1])
