"""Lists, metrics and tables are exported with every option of Pigment's API description."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.sandbox.pigment import BlockColumn
from tests.support.pigment_caller import Caller, called

PROFIT = """\
Country;Month;Cost;Revenue
FR;Jan 21;50.00;150.00
FR;Feb 21;60.00;
DE;Jan 21;16.5;50.00
"""


class Planning:
    """A table of two metrics by country and month, and a list of countries."""

    def __init__(self, caller: Caller, folder: Path) -> None:
        self.caller = caller
        self.pigment = caller.pigment
        self.application = self.pigment.application("Planning")
        (folder / "profit.csv").write_text(PROFIT)
        dimensions = ["Country", "Month"]
        self.table = self.pigment.table_of(self.application, "Profit", folder / "profit.csv", dimensions, delimiter=";")
        self.blocks = {block.name: block.id for block in self.pigment.blocks()}
        self.country, self.cost, self.revenue = (self.blocks[name] for name in ("Country", "Cost", "Revenue"))
        self.sites = self.pigment.block(self.application, "Sites")
        columns: list[BlockColumn | str] = [
            "Name",
            BlockColumn("Country", "dimension", to=self.country),
            BlockColumn("Open", "boolean"),
        ]
        columns += [BlockColumn("Since", "date"), BlockColumn("Size", "number")]
        caller.imported(
            self.pigment.configuration(self.sites, columns),
            "Name,Country,Open,Since,Size\nParis,FR,true,2024-10-25,1.5\nBerlin,DE,no,,20\n",
        )

    def item(self, name: str) -> str:
        return self.pigment.modality(self.country, name)

    def export(self, kind: str, block: str, *, version: str = "/v1", **asked: Any) -> str:
        answer = self.caller.call("POST", f"{version}/export/{kind}/{block}", json=asked)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "text/csv"
        return answer.content.decode()

    def refusal(self, kind: str, block: str, **asked: Any) -> int:
        return self.caller.call("POST", f"/v1/export/{kind}/{block}", json=asked).status_code


@pytest.fixture
def planning(tmp_path: Path) -> Iterator[Planning]:
    with called() as caller:
        yield Planning(caller, tmp_path)


def test_a_list_is_ordered_by_technical_name(planning: Planning) -> None:
    header, *rows = planning.export("list", planning.sites).splitlines()
    names = {name: planning.pigment.technical_name(planning.sites, name) for name in ("Name", "Open", "Since")}
    assert header.split(";") == sorted(header.split(";"))
    assert {len(name.rpartition("_")[2]) for name in header.split(";")} == {6}
    assert set(names.values()) < set(header.split(";"))
    assert dict(zip(header.split(";"), rows[0].split(";"), strict=True))[names["Since"]] == "2024-10-25"
    chosen = [names["Since"], names["Name"]]
    asked: dict[str, Any] = {"propertyTechnicalNames": chosen, "fieldDelimiter": "Comma"}
    assert planning.export("list", planning.sites, **asked) == ",".join(chosen) + "\n2024-10-25,Paris\n,Berlin\n"
    assert planning.export("list", planning.sites, version="", **asked).endswith("\n10/25/2024,Paris\n,Berlin\n")
    assert planning.refusal("list", planning.sites, propertyTechnicalNames=["name_AAAAAA"]) == 400


def test_a_list_is_written_in_the_requested_format(planning: Planning) -> None:
    names = [planning.pigment.technical_name(planning.sites, name) for name in ("Name", "Size", "Open")]
    written = planning.export(
        "list",
        planning.sites,
        propertyTechnicalNames=names,
        friendlyHeaders=True,
        decimalSeparator="Comma",
        fieldDelimiter="Comma",
        encoding="Utf8WithBom",
    )
    assert written == '\ufeffName,Size,Open\nParis,"1,5",TRUE\nBerlin,20,FALSE\n'
    assert not planning.export("list", planning.sites, encoding="Utf8WithoutBom").startswith("\ufeff")


def test_a_list_is_filtered_by_item_and_by_property(planning: Planning) -> None:
    names = [planning.pigment.technical_name(planning.sites, name) for name in ("Name", "Country")]
    asked: dict[str, Any] = {"propertyTechnicalNames": names[:1], "friendlyHeaders": True}
    paris = planning.pigment.modality(planning.sites, "Paris")
    assert planning.export("list", planning.sites, listFilter=[paris], **asked) == "Name\nParis\n"
    assert planning.export("list", planning.sites, listFilter=[], **asked) == "Name\nParis\nBerlin\n"
    in_germany = {"propertyTechnicalName": names[1], "modalityIds": [planning.item("DE")]}
    assert planning.export("list", planning.sites, propertyFilters=[in_germany], **asked) == "Name\nBerlin\n"
    no_dimension = {"propertyTechnicalName": names[0], "modalityIds": [paris]}
    assert planning.refusal("list", planning.sites, propertyFilters=[no_dimension]) == 400


def test_a_metric_has_its_dimensions_and_its_value(planning: Planning) -> None:
    expected = "Country;Month;Cost\nFR;Jan 21;50.00\nFR;Feb 21;60.00\nDE;Jan 21;16.5\n"
    assert planning.export("metric", planning.cost, friendlyHeaders=True) == expected
    header = planning.export("metric", planning.cost).splitlines()[0].split(";")
    assert [name.rpartition("_")[0] for name in header] == ["country", "month", "cost"]
    assert planning.export("metric", planning.cost, friendlyHeaders=True, decimalSeparator="Comma").endswith("16,5\n")
    assert "16,5" in planning.export("table", planning.table, friendlyHeaders=True, decimalSeparator="Comma")
    answer = planning.caller.call("POST", f"/v1/export/metric/{planning.cost}")
    assert answer.status_code == 200


def test_a_table_has_a_column_for_each_metric(planning: Planning) -> None:
    assert planning.export("table", planning.table, friendlyHeaders=True) == PROFIT
    written = planning.export("table", planning.table, metrics=[planning.revenue], friendlyHeaders=True)
    assert written == "Country;Month;Revenue\nFR;Jan 21;150.00\nDE;Jan 21;50.00\n"
    assert planning.refusal("table", planning.table, metrics=[planning.sites]) == 400


def test_fields_choose_the_columns_and_their_headers(planning: Planning) -> None:
    fields = [
        {"type": "ValueField", "sourceId": planning.revenue, "displayName": "Income"},
        {"type": "DimensionField", "sourceId": planning.country, "displayName": "Where; from"},
    ]
    written = planning.export("table", planning.table, fields=fields)
    assert written == 'Income;"Where; from"\n150.00;FR\n;FR\n50.00;DE\n'
    for missing in ("DimensionField", "ValueField", "ScenarioField"):
        wrong = [{"type": missing, "sourceId": planning.sites}]
        assert planning.refusal("table", planning.table, fields=wrong) == 400


def test_scenarios_add_a_column(planning: Planning, tmp_path: Path) -> None:
    pigment = planning.pigment
    budgeted = pigment.block(planning.application, "Budgeted cost", "Metric")
    dimensions = [BlockColumn(name, "dimension", to=planning.blocks[name]) for name in ("Country", "Month")]
    (tmp_path / "budget.csv").write_text("Country,Month,Cost\nFR,Jan 21,70\n")
    pigment.load(pigment.configuration(budgeted, [*dimensions, BlockColumn("Cost", "number")]), tmp_path / "budget.csv")
    actual = pigment.scenario(planning.application, "Actual")
    budget = pigment.scenario(planning.application, "Budget", {planning.cost: budgeted})
    written = planning.export("metric", planning.cost, scenarios=[budget, actual], friendlyHeaders=True)
    assert written == (
        "Country;Month;Scenario;Cost\nFR;Jan 21;Budget;70\n"
        "FR;Jan 21;Actual;50.00\nFR;Feb 21;Actual;60.00\nDE;Jan 21;Actual;16.5\n"
    )
    field = {"type": "ScenarioField", "sourceId": None}
    written = planning.export("table", planning.table, scenarios=[budget], fields=[field], friendlyHeaders=True)
    assert written.splitlines()[:2] == ["Scenario", "Budget"]
    assert "Scenario" not in planning.export("metric", planning.cost, scenarios=[], friendlyHeaders=True)
    assert planning.refusal("metric", planning.cost, scenarios=[planning.sites]) == 400


def test_filters_combine(planning: Planning) -> None:
    def kept(**asked: Any) -> list[str]:
        written = planning.export("table", planning.table, friendlyHeaders=True, **asked)
        return [row.rpartition(";")[0].rpartition(";")[0] for row in written.splitlines()[1:]]

    def costs(kind: str, value: Any = None) -> dict[str, Any]:
        condition = {"type": kind} if value is None else {"type": kind, "value": value}
        return {"type": "Value", "value": {"metricId": planning.cost, "condition": condition}}

    everything = ["FR;Jan 21", "FR;Feb 21", "DE;Jan 21"]
    french = {"dimensionId": planning.country, "modalityIds": [planning.item("FR")]}
    foreign = {"dimensionId": planning.sites, "modalityIds": [planning.item("FR")]}
    in_france = {"type": "Dimension", "dimension": french}
    assert kept(filters=[french]) == kept(exportFilter=in_france) == everything[:2]
    assert kept(filters=[{**french, "modalityIds": []}]) == kept(filters=[foreign]) == everything
    assert kept(exportFilter=costs("GreaterThan", 50)) == ["FR;Feb 21"]
    assert kept(exportFilter=costs("LessThanOrEqual", 50.0)) == ["FR;Jan 21", "DE;Jan 21"]
    assert kept(exportFilter=costs("NotEqual", 60)) == ["FR;Jan 21", "DE;Jan 21"]
    both = {"type": "And", "and": [in_france, costs("LessThan", 60)]}
    assert kept(exportFilter=both) == ["FR;Jan 21"]
    assert kept(exportFilter=both, filters=[{**french, "modalityIds": [planning.item("DE")]}]) == []
    either = {"type": "Or", "or": [both, costs("Equal", 16.5)]}
    assert kept(exportFilter=either) == ["FR;Jan 21", "DE;Jan 21"]
    has_revenue = costs("IsNotBlank")
    has_revenue["value"]["metricId"] = planning.revenue
    assert kept(exportFilter=has_revenue) == ["FR;Jan 21", "DE;Jan 21"]
    by_another = planning.export("metric", planning.cost, exportFilter=has_revenue)
    assert len(by_another.splitlines()) == 3


@pytest.mark.parametrize(
    "asked",
    [
        {"friendlyHeader": True},
        {"dateFormat": "iso"},
        {"scenarios": ["no uuid"]},
        {"exportFilter": {"type": "AND", "and": []}},
        {"exportFilter": {"type": "And"}},
        {
            "exportFilter": {
                "type": "Value",
                "value": {"metricId": str(uuid.uuid4()), "condition": {"type": "IsNotBlank"}},
            }
        },
    ],
)
def test_a_request_outside_the_description_is_a_bad_request(planning: Planning, asked: dict[str, Any]) -> None:
    assert planning.refusal("metric", planning.cost, **asked) == 400


def test_a_value_is_compared_with_its_own_type(planning: Planning) -> None:
    for condition in (
        {"type": "Equal", "value": "50"},
        {"type": "Equal", "value": True},
        {"type": "IsNotBlank", "value": 1},
    ):
        asked = {"type": "Value", "value": {"metricId": planning.cost, "condition": condition}}
        assert planning.refusal("metric", planning.cost, exportFilter=asked) == 400


def test_each_type_of_block_has_its_own_address(planning: Planning) -> None:
    blocks = {"list": planning.sites, "metric": planning.cost, "table": planning.table}
    for kind, own in blocks.items():
        for other, block in blocks.items():
            answer = planning.caller.call("POST", f"/export/{kind}/{block}", json={})
            assert answer.status_code == (200 if kind == other else 404)
            if kind != other:
                assert answer.text == f"{kind.capitalize()} with the specified ID was not found"
        assert planning.refusal(kind, "no-uuid") == 400
        answer = planning.caller.call("POST", f"/v1/export/{kind}/{own}", key=planning.pigment.key(["Import"]))
        assert answer.status_code == 401


def test_the_default_date_format_of_metrics_depends_on_the_address(planning: Planning, tmp_path: Path) -> None:
    pigment = planning.pigment
    opened = pigment.block(planning.application, "Opened", "Metric")
    columns = [BlockColumn("Country", "dimension", to=planning.country), BlockColumn("Opened", "date")]
    (tmp_path / "opened.csv").write_text("Country,Opened\nFR,2024-10-25\n")
    pigment.load(pigment.configuration(opened, columns), tmp_path / "opened.csv")
    legacy, iso = "FR;10/25/2024 00:00:00 +00:00", "FR;2024-10-25"
    for version, asked, row in (("", {}, legacy), ("/v1", {}, iso), ("", {"dateFormat": "Iso8601"}, iso)):
        assert planning.export("metric", opened, version=version, **asked).splitlines()[1:] == [row]
