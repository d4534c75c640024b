"""A contender: a function that writes each body as one new object, without any check."""

import functools
import os
from typing import Any

import flask
import functions_framework
from google.cloud import storage

from common.platform import emulator


@functools.cache
def _bucket() -> Any:
    return storage.Client(credentials=emulator.credentials()).bucket(os.environ["BRIDGE_BUCKET"])


@functions_framework.http  # type: ignore[untyped-decorator]
def empty_receive(request: flask.Request) -> str:
    blob = _bucket().blob(f"inbox/empty/{request.headers['X-Looker-Webhook-Id']}")
    blob.upload_from_string(request.get_data(), content_type="application/json", if_generation_match=0)
    return "kept"
