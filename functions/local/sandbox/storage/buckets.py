"""Buckets and their notification configurations."""

import json
import re
import sqlite3
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from local.sandbox.storage.conditions import Conditions
from local.sandbox.storage.object import merge, timestamp
from local.sandbox.storage.refusal import StorageRefusal, malformed, no_such_bucket
from local.sandbox.storage.view import PlainView

# https://cloud.google.com/storage/docs/buckets#naming
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


class Buckets:
    """The buckets of one database."""

    def __init__(self, database: sqlite3.Connection, lock: AbstractContextManager[Any], view: PlainView) -> None:
        self._database = database
        self._lock = lock
        self._view = view

    def all(self) -> list[dict[str, Any]]:
        with self._lock:
            rows = self._database.execute("SELECT resource FROM buckets ORDER BY name").fetchall()
        return [json.loads(resource) for (resource,) in rows]

    def get(self, name: str) -> dict[str, Any]:
        """Return the bucket's resource. Raises StorageRefusal 404."""
        with self._lock:
            row = self._database.execute("SELECT resource FROM buckets WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise no_such_bucket()
        resource: dict[str, Any] = json.loads(row[0])
        return resource

    def add(self, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Create a bucket. Raises StorageRefusal 400 if the name is invalid, 409 if the bucket exists."""
        if not _NAME.fullmatch(name) or ".." in name:
            raise malformed(f"Invalid bucket name: '{name}'")
        now = timestamp(time.time())
        given = {"location": "EU", "locationType": "multi-region", "storageClass": "STANDARD", **fields}
        resource = given | {"name": name, "timeCreated": now, "updated": now, "metageneration": "1"}
        with self._lock:
            try:
                with self._database:
                    self._database.execute("INSERT INTO buckets VALUES (?, ?)", (name, json.dumps(resource)))
            except sqlite3.IntegrityError:
                message = "Your previous request to create the named bucket succeeded and you already own it."
                raise StorageRefusal(409, "conflict", message) from None
            self._view.add_bucket(name)
        return resource

    def change(self, name: str, change: Mapping[str, Any], conditions: Conditions) -> dict[str, Any]:
        with self._lock:
            old = self.get(name)
            metageneration = int(old["metageneration"])
            conditions.check(0, metageneration)
            fixed = {"name": name, "updated": timestamp(time.time()), "metageneration": str(metageneration + 1)}
            resource = merge(old, change) | fixed
            with self._database:
                self._database.execute("UPDATE buckets SET resource = ? WHERE name = ?", (json.dumps(resource), name))
        return resource

    def remove(self, name: str, conditions: Conditions) -> None:
        """Delete an empty bucket. Raises StorageRefusal 404, 409 or 412."""
        with self._lock:
            conditions.check(0, int(self.get(name)["metageneration"]))
            if self._database.execute("SELECT 1 FROM versions WHERE bucket = ? LIMIT 1", (name,)).fetchone():
                raise StorageRefusal(409, "conflict", "The bucket you tried to delete is not empty.")
            with self._database:
                self._database.execute("DELETE FROM notifications WHERE bucket = ?", (name,))
                self._database.execute("DELETE FROM buckets WHERE name = ?", (name,))
            self._view.remove_bucket(name)

    def notifications(self, bucket: str) -> list[dict[str, Any]]:
        with self._lock:
            self.get(bucket)
            rows = self._database.execute(
                "SELECT resource FROM notifications WHERE bucket = ? ORDER BY id", (bucket,)
            ).fetchall()
        return [json.loads(resource) for (resource,) in rows]

    def notification(self, bucket: str, identity: str) -> dict[str, Any]:
        """Return a notification configuration. Raises StorageRefusal 404."""
        for known in self.notifications(bucket):
            if known["id"] == identity:
                return known
        raise StorageRefusal(404, "notFound", f"No such notification configuration: {identity}")

    def add_notification(self, bucket: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock, self._database:
            number = max((int(known["id"]) for known in self.notifications(bucket)), default=0) + 1
            resource = {**fields, "kind": "storage#notification", "id": str(number), "etag": str(number)}
            self._database.execute("INSERT INTO notifications VALUES (?, ?, ?)", (bucket, number, json.dumps(resource)))
        return resource

    def remove_notification(self, bucket: str, identity: str) -> None:
        with self._lock, self._database:
            number = int(self.notification(bucket, identity)["id"])
            self._database.execute("DELETE FROM notifications WHERE bucket = ? AND id = ?", (bucket, number))
