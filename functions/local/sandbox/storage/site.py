"""The JSON API of Cloud Storage: https://cloud.google.com/storage/docs/json_api/v1"""

import json
import sqlite3
import time
import urllib.parse
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

from werkzeug.exceptions import HTTPException

from local.sandbox.routing import Router, operation
from local.sandbox.storage.batch import answer_batch
from local.sandbox.storage.conditions import Conditions, integer_value, json_object
from local.sandbox.storage.disk import Disk
from local.sandbox.storage.download import content_response, open_blob, read_blocks
from local.sandbox.storage.listing import ListingQuery, read_page
from local.sandbox.storage.object import NewObject, Notice, Version, merge, writable_fields
from local.sandbox.storage.refusal import StorageRefusal, disk_failed, malformed
from local.sandbox.storage.upload import Sessions, upload_in_one_request
from local.sandbox.wire import Request, Response

_BUCKETS = "/storage/v1/b"
_BUCKET = f"{_BUCKETS}/<bucket>"
_NOTIFICATIONS = f"{_BUCKET}/notificationConfigs"
_OBJECTS = f"{_BUCKET}/o"
_OBJECT = f"{_OBJECTS}/<name>"
_UPLOADS = (f"/upload{_OBJECTS}", f"/resumable/upload{_OBJECTS}")
_BATCH = ("/batch", "/batch/", "/batch/storage/v1", "/batch/storage/v1/")


class SandboxStorage:
    """A site over one folder. No other process may use the folder at the same time.

    `clock` gives the times of objects and the dates of answers, in seconds since 1970.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._disk = Disk(root, clock)
        self._sessions = Sessions(self._disk)
        self._router = Router(self)
        self.policies: dict[str, list[dict[str, Any]]] = {}
        "The bindings of roles, by bucket. They are shown, and grant nothing."
        self.on_finalize: list[Callable[[Notice], None]] = []
        "Called after an object is written and before the client is answered, on the thread of the request."

    def close(self) -> None:
        """Release the folder for another process."""
        self._disk.close()

    def create_bucket(self, name: str) -> None:
        """Create a bucket if it does not exist."""
        if all(bucket["name"] != name for bucket in self._disk.buckets.all()):
            self._disk.buckets.add(name, {})

    def location(self, bucket: str) -> str:
        """Return where a bucket is. Raises StorageRefusal 404."""
        return str(self._disk.buckets.get(bucket)["location"])

    def file(self, bucket: str, name: str) -> Path | None:
        """Return the file with the content of an object, for a site that reads objects; None if there is none."""
        with self._disk.lock:
            version = self._disk.live(bucket, name)
            return None if version is None else self._disk.blob(version)

    def answer(self, request: Request) -> Response:
        answered = self._answer(request)
        answered.headers["Date"] = formatdate(self._clock(), usegmt=True)
        return answered

    def _answer(self, request: Request) -> Response:
        try:
            found, values = self._router.find(request)
            return found.answer(request, **values)
        except HTTPException:
            return StorageRefusal(404, "notFound", "Not Found").response()
        except StorageRefusal as refusal:
            return refusal.response()
        except ConnectionError:
            raise
        except (OSError, sqlite3.OperationalError) as error:
            return disk_failed(error, self._disk.folder).response()
        except (json.JSONDecodeError, UnicodeDecodeError):
            return StorageRefusal(400, "parseError", "Parse Error").response()

    @operation("POST", *_BATCH)
    def _batch(self, request: Request) -> Response:
        return answer_batch(request, self._answer)

    # Buckets

    @operation("GET", _BUCKETS)
    def _list_buckets(self, _: Request) -> Response:
        items = [_describe_bucket(bucket) for bucket in self._disk.buckets.all()]
        return Response.of_json({"kind": "storage#buckets", "items": items})

    @operation("POST", _BUCKETS)
    def _insert_bucket(self, request: Request) -> Response:
        fields = json_object(request.body.read())
        return Response.of_json(_describe_bucket(self._disk.buckets.add(str(fields.get("name", "")), fields)))

    @operation("GET", _BUCKET)
    def _get_bucket(self, request: Request, bucket: str) -> Response:
        found = self._disk.buckets.get(bucket)
        Conditions.of(request.query).check_reading(0, int(found["metageneration"]))
        return Response.of_json(_describe_bucket(found))

    @operation("PATCH", _BUCKET)
    def _patch_bucket(self, request: Request, bucket: str) -> Response:
        changed = self._disk.buckets.change(bucket, json_object(request.body.read()), Conditions.of(request.query))
        return Response.of_json(_describe_bucket(changed))

    @operation("DELETE", _BUCKET)
    def _delete_bucket(self, request: Request, bucket: str) -> Response:
        self._disk.buckets.remove(bucket, Conditions.of(request.query))
        return Response(204)

    @operation("GET", f"{_BUCKET}/iam/testPermissions")
    def _test_permissions(self, request: Request, bucket: str) -> Response:
        """The sandbox grants every permission."""
        self._disk.buckets.get(bucket)
        granted = request.query.get("permissions", [])
        return Response.of_json({"kind": "storage#testIamPermissionsResponse", "permissions": granted})

    @operation("GET", f"{_BUCKET}/iam")
    def _get_policy(self, _: Request, bucket: str) -> Response:
        self._disk.buckets.get(bucket)
        policy = {"version": 3, "etag": "CAE=", "bindings": self.policies.get(bucket, [])}
        return Response.of_json({"kind": "storage#policy", **policy})

    # Notification configurations

    @operation("GET", _NOTIFICATIONS)
    def _list_notifications(self, _: Request, bucket: str) -> Response:
        items = self._disk.buckets.notifications(bucket)
        return Response.of_json({"kind": "storage#notifications", "items": items})

    @operation("POST", _NOTIFICATIONS)
    def _insert_notification(self, request: Request, bucket: str) -> Response:
        return Response.of_json(self._disk.buckets.add_notification(bucket, json_object(request.body.read())))

    @operation("GET", f"{_NOTIFICATIONS}/<identity>")
    def _get_notification(self, _: Request, bucket: str, identity: str) -> Response:
        return Response.of_json(self._disk.buckets.notification(bucket, identity))

    @operation("DELETE", f"{_NOTIFICATIONS}/<identity>")
    def _delete_notification(self, _: Request, bucket: str, identity: str) -> Response:
        self._disk.buckets.remove_notification(bucket, identity)
        return Response(204)

    # Objects

    @operation("GET", _OBJECTS)
    def _list_objects(self, request: Request, bucket: str) -> Response:
        wanted = ListingQuery.of(request)
        with self._disk.lock:
            self._disk.buckets.get(bucket)
            page = read_page(self._disk.database, bucket, wanted)
        answer: dict[str, Any] = {"kind": "storage#objects"}
        if page.items:
            answer["items"] = [_describe(version, request) for version in page.items]
        if page.prefixes:
            answer["prefixes"] = page.prefixes
        if page.next_token:
            answer["nextPageToken"] = page.next_token
        return Response.of_json(answer)

    @operation("GET", _OBJECT)
    def _get_object(self, request: Request, bucket: str, name: str) -> Response:
        if request.argument("alt") == "media":
            return self._download(request, bucket, name)
        return Response.of_json(_describe(self._find_wanted(request, bucket, name), request))

    @operation("GET", f"/download{_OBJECT}")
    def _download(self, request: Request, bucket: str, name: str) -> Response:
        with self._disk.lock:
            version = self._find_wanted(request, bucket, name)
            file = open_blob(self._disk.blob(version))
        return content_response(request, version, file)

    @operation("PATCH", _OBJECT)
    def _patch_object(self, request: Request, bucket: str, name: str) -> Response:
        return self._change_object(request, bucket, name, merge)

    @operation("PUT", _OBJECT)
    def _update_object(self, request: Request, bucket: str, name: str) -> Response:
        return self._change_object(request, bucket, name, lambda _, fields: dict(fields))

    def _change_object(
        self,
        request: Request,
        bucket: str,
        name: str,
        decide: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]],
    ) -> Response:
        fields, conditions = json_object(request.body.read()), Conditions.of(request.query)
        with self._disk.lock:
            version = self._disk.version(bucket, name, integer_value(request.query, "generation"))
            version = self._disk.describe(version, decide(version.fields, fields), conditions)
        return Response.of_json(_describe(version, request))

    @operation("DELETE", _OBJECT)
    def _delete_object(self, request: Request, bucket: str, name: str) -> Response:
        self._disk.remove(bucket, name, integer_value(request.query, "generation"), Conditions.of(request.query))
        return Response(204)

    @operation("POST", f"{_OBJECT}/copyTo/b/<to_bucket>/o/<to_name>")
    def _copy_object(self, request: Request, bucket: str, name: str, to_bucket: str, to_name: str) -> Response:
        return Response.of_json(_describe(self._copy(request, bucket, name, to_bucket, to_name), request))

    @operation("POST", f"{_OBJECT}/rewriteTo/b/<to_bucket>/o/<to_name>")
    def _rewrite_object(self, request: Request, bucket: str, name: str, to_bucket: str, to_name: str) -> Response:
        version = self._copy(request, bucket, name, to_bucket, to_name)
        size = str(version.size)
        progress = {"kind": "storage#rewriteResponse", "totalBytesRewritten": size, "objectSize": size, "done": True}
        return Response.of_json(progress | {"resource": _describe(version, request)})

    def _copy(self, request: Request, bucket: str, name: str, to_bucket: str, to_name: str) -> Version:
        """Metadata in the request replaces all metadata of the source."""
        fields = writable_fields(json_object(request.body.read()))
        with self._disk.lock:
            source = self._find_source(request, bucket, name)
            content_type = {"contentType": source.resource.get("contentType")}
            described = content_type | fields if fields else source.fields
            version = self._disk.copy(source, NewObject(to_bucket, to_name, described, Conditions.of(request.query)))
        return self._notify(version)

    @operation("POST", f"{_OBJECT}/moveTo/o/<to_name>")
    def _move_object(self, request: Request, bucket: str, name: str, to_name: str) -> Response:
        if name == to_name:
            raise malformed("The source and the destination are the same object.")
        with self._disk.lock:
            source = self._find_source(request, bucket, name)
            announced = NewObject(bucket, to_name, source.fields, Conditions.of(request.query))
            version = self._disk.copy(source, announced, instead_of=source)
        return Response.of_json(_describe(self._notify(version), request))

    @operation("POST", f"{_OBJECT}/compose")
    def _compose_object(self, request: Request, bucket: str, name: str) -> Response:
        fields = json_object(request.body.read())
        announced = NewObject(bucket, name, fields.get("destination") or {}, Conditions.of(request.query))
        with self._disk.lock:
            sources = [self._find_component(bucket, source) for source in fields.get("sourceObjects", [])]
            files = [open_blob(self._disk.blob(source)) for source in sources]
        count = sum(int(source.resource.get("componentCount", 1)) for source in sources)
        with self._disk.drafting() as draft:
            draft.append(block for file in files for block in read_blocks(file))
            # A composite object has no MD5: https://cloud.google.com/storage/docs/composite-objects
            content = draft.content | {"componentCount": count}
            del content["md5Hash"]
            version = self._disk.publish(draft.path, content, announced)
        return Response.of_json(_describe(self._notify(version), request))

    def _find_component(self, bucket: str, source: Mapping[str, Any]) -> Version:
        version = self._disk.version(bucket, str(source.get("name")), integer_value(source, "generation"))
        wanted = integer_value(source.get("objectPreconditions") or {}, "ifGenerationMatch")
        version.check(Conditions(generation=wanted))
        return version

    def _find_wanted(self, request: Request, bucket: str, name: str) -> Version:
        version = self._disk.version(bucket, name, integer_value(request.query, "generation"))
        version.check_reading(Conditions.of(request.query))
        return version

    def _find_source(self, request: Request, bucket: str, name: str) -> Version:
        version = self._disk.version(bucket, name, integer_value(request.query, "sourceGeneration"))
        version.check(Conditions.of(request.query, "ifSource"))
        return version

    # Uploads

    @operation("POST", *_UPLOADS)
    def _upload(self, request: Request, bucket: str) -> Response:
        kind = request.argument("uploadType")
        if kind == "resumable" and request.argument("upload_id"):
            return self._resume_upload(request)
        if kind == "resumable":
            return self._begin_upload(request, bucket)
        if kind in ("multipart", "media"):
            return Response.of_json(
                _describe(self._notify(upload_in_one_request(self._disk, request, bucket)), request)
            )
        raise malformed("Invalid value for uploadType")

    def _begin_upload(self, request: Request, bucket: str) -> Response:
        identity = self._sessions.begin(request, bucket)
        query = urllib.parse.urlencode({"uploadType": "resumable", "upload_id": identity})
        location = f"{_base(request)}/upload/storage/v1/b/{bucket}/o?{query}"
        return Response(200, b"", {"Location": location, "X-GUploader-UploadID": identity})

    @operation("PUT", *_UPLOADS)
    def _resume_upload(self, request: Request, **_: str) -> Response:
        progress = self._sessions.receive(request.argument("upload_id") or "", request)
        if progress.version is None:
            so_far = {"Range": f"bytes=0-{progress.received_bytes - 1}"} if progress.received_bytes else {}
            return Response(308, b"", so_far)
        if progress.is_new:
            self._notify(progress.version)
        return Response.of_json(_describe(progress.version, request))

    @operation("DELETE", *_UPLOADS)
    def _cancel_upload(self, request: Request, **_: str) -> Response:
        self._sessions.cancel(request.argument("upload_id") or "")
        return Response(499)

    def _notify(self, version: Version) -> Version:
        notice = Notice.of(version)
        for listen in self.on_finalize:
            listen(notice)
        return version


def _describe(version: Version, request: Request) -> dict[str, Any]:
    path = f"/b/{version.bucket}/o/{urllib.parse.quote(version.name, safe='')}"
    generation = version.generation
    return {
        "kind": "storage#object",
        "id": f"{version.bucket}/{version.name}/{generation}",
        "selfLink": f"{_base(request)}/storage/v1{path}",
        # Google's client downloads from this address, so it must be the present address of this server.
        "mediaLink": f"{_base(request)}/download/storage/v1{path}?generation={generation}&alt=media",
        "bucket": version.bucket,
        "name": version.name,
        "generation": str(generation),
        "etag": version.etag,
        **version.resource,
    }


def _describe_bucket(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {**resource, "kind": "storage#bucket", "id": resource["name"], "etag": resource["metageneration"]}


def _base(request: Request) -> str:
    return f"http://{request.headers.get('Host', 'localhost')}"
