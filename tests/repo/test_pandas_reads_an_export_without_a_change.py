"""The line of pandas in the documents keeps each cell. It runs where pandas is installed."""

import ast
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "functions/docs/export.md"


def documented_options() -> dict[str, object]:
    """Return the keyword arguments of the call in the document; `str` is the type."""
    (call,) = re.findall(r"pandas\.read_csv\((?:[^()]|\n)*\)", PAGE.read_text())
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    return {
        str(each.arg): str if ast.unparse(each.value) == "str" else ast.literal_eval(each.value)
        for each in node.keywords
    }


def test_the_documented_line_asks_for_text_and_keeps_na() -> None:
    assert documented_options() == {"sep": ";", "dtype": str, "keep_default_na": False}


def test_pandas_keeps_each_cell(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    (tmp_path / "revenue.csv").write_text("Code;Country;Rate\n007;NA;4.10\n12E4;null;\n")
    found = pandas.read_csv(tmp_path / "revenue.csv", **documented_options())
    assert found.to_numpy().tolist() == [["007", "NA", "4.10"], ["12E4", "null", ""]]
