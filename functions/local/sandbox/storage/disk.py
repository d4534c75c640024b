"""The state of the local Cloud Storage on disk.

    root/.storage.sqlite    buckets, object versions, unfinished uploads, notification configurations
    root/.objects/<n>       the content of generation n, never changed
    root/.uploads/<id>      content that is not yet complete
    root/<bucket>/<name>    the plain view, see view.py

One commit of the database makes a write visible, so a killed process never leaves a partial object. A kill before the
commit can leave files in `.uploads` or `.objects` that no row refers to; a kill after it can leave an outdated plain
view or the content of an overwritten object. The next start repairs both. Nothing is synced to the disk itself: data
survives kill -9, but perhaps not a power failure.
"""

import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from local.sandbox.storage.buckets import Buckets
from local.sandbox.storage.conditions import Conditions
from local.sandbox.storage.draft import Draft
from local.sandbox.storage.object import NewObject, Version, check_metadata, timestamp
from local.sandbox.storage.refusal import no_such_object
from local.sandbox.storage.view import PlainView

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, resource TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notifications (
    bucket TEXT NOT NULL, id INTEGER NOT NULL, resource TEXT NOT NULL, PRIMARY KEY (bucket, id));
CREATE TABLE IF NOT EXISTS uploads (id TEXT PRIMARY KEY, begun_s REAL NOT NULL, announced TEXT NOT NULL, result TEXT);
CREATE TABLE IF NOT EXISTS versions (
    bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL,
    live INTEGER NOT NULL, resource TEXT NOT NULL,
    PRIMARY KEY (bucket, name, generation));
CREATE UNIQUE INDEX IF NOT EXISTS live_versions ON versions (bucket, name) WHERE live = 1;
"""

# https://cloud.google.com/storage/docs/resumable-uploads: a session expires after one week.
_SESSION_LIFE_S = 7 * 24 * 3600


class Disk:
    """Buckets and objects in a folder that no other process may open. Safe for use by several threads."""

    def __init__(self, root: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.folder = root
        self._blobs = root / ".objects"
        self._drafts = root / ".uploads"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._drafts.mkdir(exist_ok=True)
        self._view = PlainView(root, self._drafts)
        self.lock = threading.RLock()
        "Acquired for every check of preconditions and every change."
        self.database = _open(root / ".storage.sqlite")
        self.buckets = Buckets(self.database, self.lock, self._view)
        self._newest_generation = self.database.execute("SELECT max(generation) FROM versions").fetchone()[0] or 0
        self._repair()

    def close(self) -> None:
        with self.lock:
            self.database.close()

    def live(self, bucket: str, name: str) -> Version | None:
        """Return the live version, or None. Raises StorageRefusal 404 if the bucket does not exist."""
        return self._find(bucket, name, "live = 1")

    def version(self, bucket: str, name: str, generation: int | None = None) -> Version:
        """Return the live version, or that of a generation. Raises StorageRefusal 404."""
        if generation is None:
            version = self.live(bucket, name)
        else:
            version = self._find(bucket, name, "generation = ?", generation)
        if version is None:
            raise no_such_object(bucket, name)
        return version

    def blob(self, version: Version) -> Path:
        """Return the file of the content. Open it under the lock: an overwrite deletes it."""
        return self._blobs / str(version.generation)

    def draft(self, identity: str) -> Draft:
        """Return the draft of an upload session."""
        return Draft.found(self._drafts / identity)

    @contextlib.contextmanager
    def drafting(self) -> Iterator[Draft]:
        """Create a draft that is deleted afterwards unless it was published."""
        draft = Draft(self._drafts / secrets.token_hex(16))
        try:
            yield draft
        finally:
            draft.discard()

    def check(self, announced: NewObject) -> None:
        """Check that the object could be written now. Raises StorageRefusal 400, 404 or 412."""
        announced.check(self.live(announced.bucket, announced.name))

    def publish(
        self,
        path: Path,
        content: Mapping[str, Any],
        announced: NewObject,
        *,
        instead_of: Version | None = None,
        upload: str | None = None,
    ) -> Version:
        """Make a complete file the live version of an object.

        Args:
            path: the file; it is removed.
            content: the resource fields that describe the content.
            announced: the object.
            instead_of: the moved object; the same commit removes it.
            upload: the session that this write completes, in the same commit.

        Raises:
            StorageRefusal: 400, 404 or 412.
        """
        with self.lock:
            self.check(announced)
            outdated = [old for old in (self.live(announced.bucket, announced.name), instead_of) if old]
            self._newest_generation = max(time.time_ns() // 1000, self._newest_generation + 1)
            version = Version.first(announced, content, self._newest_generation, self._now())
            blob = self.blob(version)
            # A kill from here on leaves a blob that no row refers to, and the draft for its session to continue.
            try:
                _link(path, blob)
                self._commit(version, outdated, upload)
            except (OSError, sqlite3.Error):
                blob.unlink(missing_ok=True)
                raise
            # A kill from here on leaves a complete write with an outdated plain view.
            path.unlink()
            blob.chmod(0o400)
            self._view.show(version.bucket, version.name, blob)
            if instead_of:
                self._view.hide(instead_of.bucket, instead_of.name, self.blob(instead_of))
            for old in outdated:
                self._drop_blob(old)
        return version

    def copy(self, source: Version, announced: NewObject, *, instead_of: Version | None = None) -> Version:
        """Copy an object as a hard link. The caller must hold the lock from the lookup of the source on."""
        with self.drafting() as draft:
            _link(self.blob(source), draft.path)
            return self.publish(draft.path, source.content, announced, instead_of=instead_of)

    def describe(self, version: Version, fields: Mapping[str, Any], conditions: Conditions) -> Version:
        """Change the metadata of a version. The caller must hold the lock from its lookup on.

        Raises StorageRefusal 400 or 412.
        """
        version.check(conditions)
        check_metadata(fields)
        version = version.described(fields, self._now())
        with self.database:
            self.database.execute(
                "UPDATE versions SET resource = ? WHERE bucket = ? AND name = ? AND generation = ?",
                (json.dumps(version.resource), *_key(version)),
            )
        return version

    def remove(self, bucket: str, name: str, generation: int | None, conditions: Conditions) -> None:
        """Delete the live version, which a versioned bucket keeps as an old one, or one generation for good.

        Raises StorageRefusal 404 or 412.
        """
        with self.lock:
            version = self.version(bucket, name, generation)
            version.check(conditions)
            with self.database:
                self._retire(version, for_good=generation is not None)
            # A kill from here on leaves a deleted object that the plain view still shows.
            if not self.live(bucket, name):
                self._view.hide(bucket, name, self.blob(version))
            self._drop_blob(version)

    def _now(self) -> str:
        return timestamp(self._clock())

    def _find(self, bucket: str, name: str, which: str, *values: int) -> Version | None:
        with self.lock:
            self.buckets.get(bucket)
            row = self.database.execute(
                f"SELECT generation, resource FROM versions WHERE bucket = ? AND name = ? AND {which}",  # noqa: S608  # constants
                (bucket, name, *values),
            ).fetchone()
        return Version(bucket, name, row[0], json.loads(row[1])) if row else None

    def _commit(self, version: Version, outdated: list[Version], upload: str | None) -> None:
        with self.database:
            for old in outdated:
                self._retire(old)
            self.database.execute(
                "INSERT INTO versions VALUES (?, ?, ?, 1, ?)", (*_key(version), json.dumps(version.resource))
            )
            if upload:
                self.database.execute("UPDATE uploads SET result = ? WHERE id = ?", (version.to_json(), upload))

    def _retire(self, version: Version, *, for_good: bool = False) -> None:
        """Mark a version as old, or delete it if the bucket is not versioned; inside a transaction."""
        if for_good or not self.buckets.get(version.bucket).get("versioning", {}).get("enabled"):
            self.database.execute(
                "DELETE FROM versions WHERE bucket = ? AND name = ? AND generation = ?", _key(version)
            )
            return
        resource = json.dumps({**version.resource, "timeDeleted": self._now()})
        self.database.execute(
            "UPDATE versions SET live = 0, resource = ? WHERE bucket = ? AND name = ? AND generation = ?",
            (resource, *_key(version)),
        )

    def _drop_blob(self, version: Version) -> None:
        """Delete the content if no row refers to it; after the commit and the plain view."""
        if not self._find(version.bucket, version.name, "generation = ?", version.generation):
            self.blob(version).unlink(missing_ok=True)

    def _repair(self) -> None:
        """Remove what a killed process left behind."""
        self._remove_drafts()
        rows = self.database.execute("SELECT bucket, name, generation, live FROM versions").fetchall()
        known = {str(generation) for _, _, generation, _ in rows}
        abandoned = [blob for blob in self._blobs.iterdir() if blob.name not in known]
        if abandoned:
            self._view.hide_every({blob.stat().st_ino for blob in abandoned})
        for bucket in self.buckets.all():
            self._view.add_bucket(bucket["name"])
        for bucket, name, generation, live in rows:
            if live:
                self._view.show(bucket, name, self._blobs / str(generation))
        # Last: until here, the blobs identify the outdated files of the plain view.
        for blob in abandoned:
            blob.unlink()

    def _remove_drafts(self) -> None:
        with self.database:
            self.database.execute("DELETE FROM uploads WHERE begun_s < ?", (time.time() - _SESSION_LIFE_S,))
        known = {identity for (identity,) in self.database.execute("SELECT id FROM uploads WHERE result IS NULL")}
        for draft in self._drafts.iterdir():
            if draft.name not in known:
                draft.unlink()


def _open(path: Path) -> sqlite3.Connection:
    """Open the database exclusively: another process would delete the drafts of this one."""
    database = sqlite3.connect(path, timeout=1, check_same_thread=False)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
    except sqlite3.OperationalError as error:
        database.close()
        if "locked" in str(error):
            raise RuntimeError(f"Another process is using the storage in {path.parent}: end it first.") from None
        raise
    return database


def _key(version: Version) -> tuple[str, str, int]:
    return version.bucket, version.name, version.generation


def _link(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except FileNotFoundError:
        raise
    except OSError:
        # The file system has no hard links, or the file has too many.
        shutil.copyfile(old, new)
