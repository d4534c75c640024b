"""GoogleSQL for DuckDB, as far as the statements of `common.tables.bigquery` need it.

What differs:

    SAFE_CAST                               TRY_CAST
    FLOAT64                                 a type of this database
    r'…'                                    '…', in which a backslash has no meaning anyway
    REGEXP_CONTAINS, FORMAT, TO_JSON_STRING functions of this database, over those of DuckDB
    TO_HEX(MD5(…))                          MD5 of DuckDB returns hexadecimal digits
    ARRAY_AGG(… IGNORE NULLS … LIMIT n)     list(…) of which the first n are taken
"""

import re

PREPARATION = """
CREATE TYPE FLOAT64 AS DOUBLE;
CREATE MACRO regexp_contains(value, pattern) AS regexp_matches(value, pattern);
CREATE MACRO to_hex(value) AS value;
CREATE MACRO to_json_string(value) AS CAST(to_json(value) AS VARCHAR);
"""
"What a database needs before it runs translated statements."

_RAW_TEXT = re.compile(r"\br'")
_FIRST_OF_ARRAY = re.compile(r"ARRAY_AGG\((\w+) IGNORE NULLS ORDER BY \1 LIMIT (\d+)\)")


def for_duckdb(sql: str) -> str:
    sql = sql.replace("SAFE_CAST(", "TRY_CAST(").replace("FORMAT(", "printf(")
    sql = _RAW_TEXT.sub("'", sql)
    return _FIRST_OF_ARRAY.sub(r"(list(\1 ORDER BY \1) FILTER (\1 IS NOT NULL))[1:\2]", sql)
