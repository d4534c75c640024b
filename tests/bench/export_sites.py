"""Pigment in one process, Cloud Storage and Secret Manager in another, because the real ones share no lock."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from common.storage import paths

from . import show, storage_site
from .contenders import ContenderFailed

HttpVersion = Literal["HTTP/1.1", "HTTP/2"]
FileFormat = Literal["csv", "parquet"]

_KEY = "an-export-key"


class PigmentSite(msgspec.Struct, frozen=True):
    """The first output of Pigment's process, when it accepts requests."""

    url: str
    trusted: str
    "The path of its certificate, if it has one."
    bytes: list[int]
    "The size of each view."


class ExportSites(msgspec.Struct, frozen=True):
    environment: dict[str, str]
    "For the bridge's function, and for the compared script."
    bytes_of: dict[int, int]
    "The size of a view by its number of rows."


@contextlib.contextmanager
def running(sizes: Sequence[int], protocol: HttpVersion) -> Iterator[ExportSites]:
    """Serve a view for each number of rows, with an export in each format, named by `job_of`."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        show.console.status(f"making {max(sizes):,} rows") as status,
        _pigment(folder, protocol, *map(str, sizes)) as pigment,
        storage_site.running(Path(folder) / "state", {"pigment-export-key": _KEY}) as environment,
    ):
        status.stop()
        storage_site.open_bucket(environment).write_json(paths.CONFIG, _bridge(pigment.url, sizes), over=None)
        environment |= {"PIGMENT_URL": pigment.url, "PIGMENT_KEY": _KEY}
        if pigment.trusted:
            environment |= {"SSL_CERT_FILE": pigment.trusted, "CURL_CA_BUNDLE": pigment.trusted}
        yield ExportSites(environment, dict(zip(sizes, pigment.bytes, strict=True)))


def view_of(count: int) -> str:
    return f"00000000-0000-4000-8000-{count:012d}"


def job_of(count: int, file_format: FileFormat) -> str:
    return f"flights-{count}-{file_format}"


@contextlib.contextmanager
def _pigment(*arguments: str) -> Iterator[PigmentSite]:
    """Run Pigment, and yield what it prints when it is ready."""
    tests = Path(__file__).parents[1]
    # The process ends when its standard input closes, even if this process is killed.
    with subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.export_pigment", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])},
    ) as process:
        assert process.stdout
        said = process.stdout.readline()
        if not said:
            raise ContenderFailed("The sandbox process ended; its output is above.")
        yield msgspec.json.decode(said, type=PigmentSite)


def _bridge(pigment_url: str, sizes: Sequence[int]) -> dict[str, object]:
    formats: tuple[FileFormat, ...] = ("csv", "parquet")
    return {
        "pigment": {"url": pigment_url, "export_key": "pigment-export-key"},
        "exports": {
            job_of(size, file_format): {
                "source": {"view": view_of(size)},
                "path": f"flights-{size}.{file_format}",
                "format": file_format,
            }
            for size in sizes
            for file_format in formats
        },
    }
