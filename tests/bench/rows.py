"""The rows of the benchmarks: always the same, about 107 bytes each; one in eight needs quotes."""

from pathlib import Path

import duckdb

FIELDS = (
    "flights.id",
    "flights.day",
    "flights.departed",
    "flights.carrier",
    "flights.flight",
    "flights.tailnum",
    "flights.origin",
    "flights.dest",
    "flights.delay",
    "flights.distance",
    "flights.fare",
    "flights.remark",
)
HEADER = [f"Flights {field.partition('.')[2].title()}" for field in FIELDS]

_ROWS = """
    SELECT
        i AS id,
        DATE '2013-01-01' + (i % 365)::INTEGER AS day,
        TIMESTAMP '2013-01-01 05:00:00' + INTERVAL 7 MINUTE * (i % 200000) AS departed,
        ['United Air Lines', 'JetBlue Airways', 'Delta Air Lines', 'Envoy Air'][1 + i % 4] AS carrier,
        i * 7 % 6000 AS flight,
        printf('N%05dQX', i * 31 % 99991) AS tailnum,
        ['EWR', 'JFK', 'LGA'][1 + i % 3] AS origin,
        ['ORD', 'ATL', 'LAX', 'BOS', 'MCO'][1 + i % 5] AS dest,
        i * 13 % 240 - 30 AS delay,
        180 + i * 17 % 4800 AS distance,
        (i * 37 % 90000 / 100)::DECIMAL(9, 2) AS fare,
        CASE i % 8
            WHEN 0 THEN 'Gate changed, "late" crew'
            WHEN 1 THEN NULL
            ELSE 'On time at gate ' || i % 60
        END AS remark
    FROM range(1, {count} + 1) AS rows(i)
"""


def write(path: Path, count: int) -> None:
    duckdb.execute(f"COPY ({_ROWS.format(count=count)}) TO '{path}' (HEADER)")
