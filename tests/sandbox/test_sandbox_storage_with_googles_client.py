"""Google's own client works with the sandbox's Cloud Storage."""

import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from google.api_core import exceptions

from local.sandbox.storage import Notice
from local.sandbox.wire import Response
from tests.support.storage_client import Running, running

REFERENCE = os.environ.get("BRIDGE_REFERENCE")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as cloud:
        yield cloud


@pytest.mark.long
@pytest.mark.skipif(not REFERENCE, reason="BRIDGE_REFERENCE names no folder with storage/conformance.py")
def test_every_check_of_the_conformance_script_passes(cloud: Running) -> None:
    script = Path(REFERENCE or "") / "storage" / "conformance.py"
    ended = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"STORAGE_EMULATOR_HOST": cloud.server.url},
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(ended.stdout.splitlines()[-1])
    assert len(results) >= 38
    assert [result for result in results if result[1] != "yes"] == []


def test_of_sixteen_racing_creators_exactly_one_wins(cloud: Running) -> None:
    def create(number: int) -> str | None:
        try:
            cloud.bucket.blob("lease").upload_from_string(str(number), if_generation_match=0, retry=None)
        except exceptions.PreconditionFailed:
            return None
        return str(number)

    with ThreadPoolExecutor(16) as racers:
        winners = [winner for winner in racers.map(create, range(16)) if winner]
    assert len(winners) == 1
    assert cloud.bucket.blob("lease").download_as_text() == winners[0]


def test_of_sixteen_racing_writers_each_generation_is_replaced_once(cloud: Running) -> None:
    cloud.bucket.blob("count").upload_from_string("0")

    def add_one(_: int) -> None:
        while True:
            blob = cloud.bucket.get_blob("count")
            try:
                number = int(blob.download_as_text(if_generation_match=blob.generation))
                blob.upload_from_string(str(number + 1), if_generation_match=blob.generation, retry=None)
            except (exceptions.PreconditionFailed, exceptions.NotFound):
                continue
            return

    with ThreadPoolExecutor(16) as racers:
        list(racers.map(add_one, range(16)))
    assert cloud.bucket.blob("count").download_as_text() == "16"


def test_a_create_retried_after_a_lost_answer_finds_its_own_object(cloud: Running) -> None:
    cloud.server.fault("POST /upload/", reset_after=True)
    with pytest.raises(exceptions.PreconditionFailed):
        cloud.bucket.blob("once").upload_from_string("mine", if_generation_match=0)
    assert cloud.bucket.blob("once").download_as_text() == "mine"


def test_a_refusal_on_demand_is_retried_by_the_client(cloud: Running) -> None:
    fault = cloud.server.fault("POST /upload/", refuse=Response(503, b"busy"))
    cloud.bucket.blob("a").upload_from_string("1")
    assert fault.hits == 1
    assert cloud.bucket.blob("a").download_as_text() == "1"


def test_a_repeated_chunk_is_stored_once(cloud: Running) -> None:
    content = os.urandom(1024 * 1024)
    fault = cloud.server.fault("PUT /upload/", reset_after=True)
    with cloud.bucket.blob("chunks").open("wb", chunk_size=256 * 1024) as file:
        file.write(content)
    assert fault.hits == 1
    assert cloud.bucket.blob("chunks").download_as_bytes() == content


def test_a_session_reports_its_progress(cloud: Running) -> None:
    begun = requests.post(cloud.objects_url, params={"uploadType": "resumable", "name": "long"}, timeout=5)
    session = begun.headers["Location"]
    first = requests.put(session, b"abcd", headers={"Content-Range": "bytes 0-3/*"}, timeout=5)
    asked = requests.put(session, headers={"Content-Range": "bytes */*"}, timeout=5)
    assert (first.status_code, first.headers["Range"]) == (asked.status_code, asked.headers["Range"])
    assert (asked.status_code, asked.headers["Range"]) == (308, "bytes=0-3")
    too_far = requests.put(session, b"z", headers={"Content-Range": "bytes 9-9/10"}, timeout=5)
    assert too_far.status_code == 400
    whole = requests.put(session, b"cdef", headers={"Content-Range": "bytes 2-5/6"}, timeout=5)
    again = requests.put(session, headers={"Content-Range": "bytes */6"}, timeout=5)
    assert whole.status_code == 200
    assert whole.json() == again.json()
    assert cloud.bucket.blob("long").download_as_bytes() == b"abcdef"


def test_a_cancelled_session_is_not_found(cloud: Running) -> None:
    begun = requests.post(cloud.objects_url, params={"uploadType": "resumable", "name": "never"}, timeout=5)
    session = begun.headers["Location"]
    requests.put(session, b"abcd", headers={"Content-Range": "bytes 0-3/*"}, timeout=5)
    assert requests.delete(session, timeout=5).status_code == 499
    assert requests.put(session, headers={"Content-Range": "bytes */4"}, timeout=5).status_code == 404
    assert not cloud.bucket.blob("never").exists()


def test_content_that_differs_from_its_announced_checksum_is_refused(cloud: Running) -> None:
    begun = requests.post(cloud.objects_url, params={"uploadType": "resumable", "name": "bad"}, timeout=5)
    ended = requests.put(
        begun.headers["Location"],
        b"abc",
        headers={"Content-Range": "bytes 0-2/3", "X-Goog-Hash": "crc32c=AAAAAA=="},
        timeout=5,
    )
    assert ended.status_code == 400
    assert not cloud.bucket.blob("bad").exists()


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=8-99", 206, b"89"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_a_range_returns_its_bytes(cloud: Running, wanted: str, status: int, content: bytes) -> None:
    cloud.bucket.blob("digits").upload_from_string(b"0123456789")
    url = f"{cloud.server.url}/storage/v1/b/bucket/o/digits?alt=media"
    answer = requests.get(url, headers={"Range": wanted}, timeout=5)
    assert (answer.status_code, answer.content) == (status, content)


def test_a_range_beyond_the_end_is_refused(cloud: Running) -> None:
    cloud.bucket.blob("digits").upload_from_string(b"0123456789")
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        cloud.bucket.blob("digits").download_as_bytes(start=10, end=12)


def test_every_object_has_the_checksums_of_its_bytes(cloud: Running) -> None:
    content = os.urandom(3_000_000)
    cloud.bucket.blob("sums").upload_from_string(content)
    blob = cloud.bucket.get_blob("sums")
    assert blob.md5_hash == base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
    assert blob.download_as_bytes(checksum="crc32c") == content
    answer = requests.get(blob.media_link, timeout=5)
    assert answer.headers["X-Goog-Hash"] == f"crc32c={blob.crc32c},md5={blob.md5_hash}"


def test_gzip_is_unpacked_for_a_client_that_does_not_accept_it(cloud: Running) -> None:
    rows = b"a,b\n" * 500_000
    blob = cloud.bucket.blob("rows.csv.gz")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(rows[: len(rows) // 2]) + gzip.compress(rows[len(rows) // 2 :]))
    plain = requests.get(blob.media_link, headers={"Accept-Encoding": "identity"}, timeout=5)
    assert plain.content == rows
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(blob.download_as_bytes(raw_download=True)) == rows


def test_a_listing_has_pages_of_items_and_folders(cloud: Running) -> None:
    names = ["in/a/1", "in/a/2", "in/b/1", "in/c", "in/d/1", "in/é", "out/x"]
    for name in names:
        cloud.bucket.blob(name).upload_from_string("")
    listing = cloud.client.list_blobs("bucket", prefix="in/", delimiter="/", page_size=2)
    pages = [[blob.name for blob in page] for page in listing.pages]
    assert pages == [[], ["in/c"], ["in/é"]]
    assert listing.prefixes == {"in/a/", "in/b/", "in/d/"}
    assert [blob.name for blob in cloud.client.list_blobs("bucket", page_size=3)] == names


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("*.csv", {"a.csv"}),
        ("**.csv", {"a.csv", "x/b.csv", "x/y/c.csv"}),
        ("x/**/c.csv", {"x/y/c.csv"}),
        ("x/**/b.csv", {"x/b.csv"}),
        ("{a,x/b}.csv", {"a.csv", "x/b.csv"}),
        ("x/[a-c].csv", {"x/b.csv"}),
        ("?.csv", {"a.csv"}),
    ],
)
def test_a_glob_selects_names(cloud: Running, glob: str, found: set[str]) -> None:
    for name in ("a.csv", "x/b.csv", "x/y/c.csv"):
        cloud.bucket.blob(name).upload_from_string("")
    assert {blob.name for blob in cloud.client.list_blobs("bucket", match_glob=glob)} == found


def test_a_patch_removes_what_it_sets_to_null_and_keeps_the_rest(cloud: Running) -> None:
    blob = cloud.bucket.blob("described")
    blob.metadata = {"rows": "1", "state": "new"}
    blob.upload_from_string("x")
    blob.metadata = {"state": None}
    blob.patch()
    read = cloud.bucket.get_blob("described")
    assert (read.metadata, read.metageneration, read.generation) == ({"rows": "1"}, 2, blob.generation)


def test_a_copy_keeps_its_metadata_and_a_rewrite_takes_new_ones(cloud: Running) -> None:
    source = cloud.bucket.blob("source")
    source.metadata = {"rows": "1"}
    source.upload_from_string("x", content_type="text/csv")
    copied = cloud.bucket.copy_blob(source, cloud.bucket, "copied")
    rewritten = cloud.bucket.blob("rewritten")
    rewritten.metadata = {"rows": "2"}
    rewritten.rewrite(source)
    assert (copied.metadata, copied.content_type) == ({"rows": "1"}, "text/csv")
    assert cloud.bucket.get_blob("rewritten").metadata == {"rows": "2"}


def test_an_object_may_be_rewritten_onto_itself(cloud: Running, tmp_path: Path) -> None:
    blob = cloud.bucket.blob("same")
    blob.upload_from_string("x")
    generation = blob.generation
    blob.rewrite(blob)
    assert cloud.bucket.get_blob("same").generation > generation
    assert cloud.bucket.blob("same").download_as_text() == "x"
    assert (tmp_path / "bucket" / "same").read_text() == "x"


def test_a_composed_object_has_no_md5_and_may_contain_itself(cloud: Running) -> None:
    log, line = cloud.bucket.blob("log"), cloud.bucket.blob("line")
    log.upload_from_string("a")
    line.upload_from_string("b")
    log.compose([log, line], if_generation_match=log.generation)
    read = cloud.bucket.get_blob("log")
    assert (read.download_as_text(), read.md5_hash, read.component_count) == ("ab", None, 2)


def test_a_versioned_bucket_keeps_older_versions(cloud: Running) -> None:
    cloud.bucket.versioning_enabled = True
    cloud.bucket.patch()
    blob = cloud.bucket.blob("kept")
    blob.upload_from_string("1")
    first = blob.generation
    blob.upload_from_string("2")
    cloud.bucket.blob("kept").delete()
    assert cloud.bucket.get_blob("kept") is None
    assert [len(list(cloud.client.list_blobs("bucket", versions=wanted))) for wanted in (None, True)] == [0, 2]
    assert cloud.bucket.blob("kept", generation=first).download_as_text() == "1"
    cloud.bucket.blob("kept", generation=first).delete()
    assert cloud.bucket.get_blob("kept", generation=first) is None


def test_a_batch_reports_each_part(cloud: Running) -> None:
    cloud.bucket.blob("there").upload_from_string("")
    with cloud.client.batch(raise_exception=False) as batch:
        cloud.bucket.blob("missing").delete()
        cloud.bucket.blob("there").delete()
    assert [answer.status_code for answer in batch._responses] == [404, 204]
    assert not cloud.bucket.blob("there").exists()


def test_a_write_notifies_once_and_after_the_object_exists(cloud: Running) -> None:
    seen: list[tuple[Notice, bool]] = []
    cloud.site.on_finalize.append(lambda notice: seen.append((notice, cloud.bucket.blob(notice.name).exists())))
    blob = cloud.bucket.blob("inbox/a")
    blob.metadata = {"relay": "a"}
    blob.upload_from_string("12345")
    with cloud.bucket.blob("inbox/b").open("wb") as file:
        file.write(b"x")
    cloud.bucket.move_blob(blob, "delivered/a")
    assert [(notice.name, notice.size, there) for notice, there in seen] == [
        ("inbox/a", 5, True),
        ("inbox/b", 1, True),
        ("delivered/a", 5, True),
    ]
    assert seen[0][0] == Notice("bucket", "inbox/a", blob.generation, 5, {"relay": "a"})


def test_buckets_are_created_listed_changed_and_deleted(cloud: Running) -> None:
    made = cloud.client.create_bucket("another-one")
    assert [bucket.name for bucket in cloud.client.list_buckets()] == ["another-one", "bucket"]
    made.labels = {"team": "planning"}
    made.patch()
    assert cloud.client.get_bucket("another-one").labels == {"team": "planning"}
    made.blob("x").upload_from_string("")
    with pytest.raises(exceptions.Conflict):
        made.delete()
    made.delete(force=True)
    assert cloud.client.lookup_bucket("another-one") is None


def test_a_bucket_needs_a_valid_unused_name(cloud: Running) -> None:
    with pytest.raises(exceptions.Conflict):
        cloud.client.create_bucket("bucket")
    with pytest.raises(exceptions.BadRequest):
        cloud.client.create_bucket("Capital")
    cloud.site.create_bucket("bucket")


def test_an_unknown_bucket_is_not_found(cloud: Running) -> None:
    nowhere = cloud.client.bucket("nowhere")
    for use in (
        lambda: nowhere.blob("x").upload_from_string("x"),
        lambda: nowhere.blob("x").download_as_bytes(),
        lambda: list(cloud.client.list_blobs("nowhere")),
    ):
        with pytest.raises(exceptions.NotFound):
            use()


def test_notification_configurations_are_created_and_deleted(cloud: Running) -> None:
    made = cloud.bucket.notification(topic_name="inbox", topic_project="a-project", blob_name_prefix="inbox/")
    made.create()
    (listed,) = cloud.bucket.list_notifications()
    assert (listed.notification_id, listed.topic_name, listed.blob_name_prefix) == (
        made.notification_id,
        "inbox",
        "inbox/",
    )
    made.delete()
    assert list(cloud.bucket.list_notifications()) == []
