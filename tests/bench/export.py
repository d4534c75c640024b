"""Compares the export with `curl | file | curl` over each protocol, and its memory for 10 and 100 times the rows.

Over HTTP/1.1, also with a script on `requests` and Google's client, and with dlt; neither speaks HTTP/2. drt, with
which pulls are compared, cannot do it: its source for APIs reads only JSON.

Only the bridge checks the rows, takes a lease, publishes the object in one step, and writes a receipt.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import msgspec

from . import contenders, export_sites, memory, served, show, wall
from .contenders import ContenderFailed, Cost
from .export_sites import ExportSites, FileFormat, HttpVersion, job_of, view_of

ROWS = 1_000_000
ROUNDS = 5
_MEMORY_ROUNDS = 1
_MOST_TIMES_CSV = 2.0
_MOST_TIMES_CURL = {"in a new process": 2.0, "in a running process": 1.25}
_PROTOCOLS: tuple[HttpVersion, ...] = ("HTTP/1.1", "HTTP/2")
_TIMES_THE_ROWS: dict[FileFormat, int] = {"csv": 100, "parquet": 30}
_ON_THE_RECEIPT = {"pigment": "  Pigment: ask, read, check, write"}


def measure(rows: int, rounds: int) -> None:
    for protocol in _PROTOCOLS:
        _measure_wall(rows, rounds, protocol)
    _measure_parquet(rows, rounds)
    for file_format, times in _TIMES_THE_ROWS.items():
        _measure_memory((rows // 10, rows // 10 * times), min(rounds, _MEMORY_ROUNDS), file_format)


def _measure_wall(rows: int, rounds: int, protocol: HttpVersion) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, export_sites.running([rows], protocol) as sites:
        programs: dict[str, Callable[[], Cost]] = {"curl | file | curl": partial(_curl, sites, rows)}
        if protocol == "HTTP/1.1":
            programs["requests + Google's client"] = partial(_sdk, sites, rows)
            if python := contenders.environment_with(Path(folder), "dlt", "gcsfs", "pyarrow", "requests"):
                programs["dlt"] = partial(_dlt, sites, rows, python)
        with _both_processes(sites, rows, "csv") as bridge:
            costs = contenders.in_turn(f"export over {protocol}", programs | bridge, rounds)
    wall.compare(f"An export of {rows:,} rows over {protocol}", costs, _ON_THE_RECEIPT)
    wall.expect(f"curl | file | curl over {protocol}", costs, _MOST_TIMES_CURL)


def _measure_parquet(rows: int, rounds: int) -> None:
    with (
        export_sites.running([rows], "HTTP/2") as sites,
        _both_processes(sites, rows, "csv") as csv,
        _both_processes(sites, rows, "parquet") as parquet,
    ):
        programs = {f"{name}, as CSV": run for name, run in csv.items()}
        programs |= {f"{name}, as Parquet": run for name, run in parquet.items()}
        costs = contenders.in_turn("CSV and Parquet", programs, rounds)
    table = show.table(f"An export of {rows:,} rows over HTTP/2", "", "as CSV, s", "as Parquet, s", "ratio", "CPU s")
    ratios = []
    for name in csv:
        of_csv, of_parquet = costs[f"{name}, as CSV"], costs[f"{name}, as Parquet"]
        csv_s, parquet_s = ([cost.wall_s for cost in every] for every in (of_csv, of_parquet))
        ratios.append(contenders.times(parquet_s, of_csv))
        cpu = " and ".join(f"{median(cost.cpu_s for cost in every):.2f}" for every in (of_csv, of_parquet))
        table.add_row(name, show.spread(csv_s), show.spread(parquet_s), f"{ratios[-1]:.2f}", cpu)
    show.console.print(table)
    show.goal(f"as Parquet at most {_MOST_TIMES_CSV} × the time as CSV", is_met=max(ratios) <= _MOST_TIMES_CSV)


@contextlib.contextmanager
def _both_processes(sites: ExportSites, rows: int, file_format: FileFormat) -> Iterator[dict[str, Callable[[], Cost]]]:
    """Yield the export in a new process, and in one that has answered a call before."""
    with served.calls_of("pigment_export", sites.environment) as export:
        yield {
            "the bridge, in a new process": partial(_bridge, sites, rows, file_format),
            "the bridge, in a running process": lambda: _published(
                sites, rows, file_format, *export(job_of(rows, file_format))
            ),
        }


def _measure_memory(sizes: Sequence[int], rounds: int, file_format: FileFormat) -> None:
    with export_sites.running(sizes, "HTTP/1.1") as sites:
        exports = {f"{size:,} rows as {file_format}": partial(_bridge, sites, size, file_format) for size in sizes}
        costs = contenders.in_turn("memory", exports, rounds)
    memory.compare("export of", costs)


def _bridge(sites: ExportSites, rows: int, file_format: FileFormat) -> Cost:
    environment = {**sites.environment, "BRIDGE_LOG_LEVEL": "ERROR"}
    job = job_of(rows, file_format)
    cost, printed = contenders.run(
        [sys.executable, "-m", f"{__package__}.bridge_call", "pigment_export", job], environment
    )
    return _published(sites, rows, file_format, cost, printed)


def _published(sites: ExportSites, rows: int, file_format: FileFormat, cost: Cost, printed: str) -> Cost:
    """Return the cost with the seconds of the receipt. Raises ContenderFailed if not all rows were published."""
    receipt = json.loads(printed)
    if receipt.get("outcome") != "published" or receipt["rows"]["read"] != rows:
        raise ContenderFailed(f"{rows} rows were not published: {printed}")
    if file_format == "csv":
        _expect_bytes(sites, rows, receipt["bytes"])
    return msgspec.structs.replace(cost, receipt_s=receipt["seconds"])


def _curl(sites: ExportSites, rows: int) -> Cost:
    return _script(["sh", str(Path(__file__).parent / "curl_export.sh")], sites, rows)


def _sdk(sites: ExportSites, rows: int) -> Cost:
    return _script([sys.executable, "-m", f"{__package__}.sdk_export"], sites, rows)


def _dlt(sites: ExportSites, rows: int, python: str) -> Cost:
    switches = {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
        # Otherwise gcsfs asks for the kind of the bucket over gRPC, which the sandbox does not speak.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [python, str(Path(__file__).parent / "dlt_export.py"), folder, view_of(rows)]
        cost, printed = contenders.run(command, {**sites.environment, **switches})
    if json.loads(printed) != {"rows": rows}:
        raise ContenderFailed(f"dlt did not store {rows} rows: {printed}")
    return cost


def _script(command: Sequence[str], sites: ExportSites, rows: int) -> Cost:
    cost, printed = contenders.run([*command, view_of(rows)], sites.environment)
    _expect_bytes(sites, rows, int(json.loads(printed)["size"]))
    return cost


def _expect_bytes(sites: ExportSites, rows: int, stored: int) -> None:
    if stored != sites.bytes_of[rows]:
        raise ContenderFailed(f"{stored} bytes were stored of the {sites.bytes_of[rows]} of {rows} rows.")
