"""All requests and answers of the sandbox conform to Pigment's API description."""

from pathlib import Path

from local.sandbox.pigment import BlockColumn
from tests.support import conformity
from tests.support.pigment_caller import called


def test_every_exchange_conforms_to_the_description(tmp_path: Path) -> None:
    document = conformity.load("pigment-external-api")
    (tmp_path / "flights.csv").write_text("Id,Delay\n1,2\n")
    with called() as caller:
        configuration = caller.flights("Id", BlockColumn("Delay", "integer"), source=lambda: tmp_path / "flights.csv")
        caller.pigment.hold()
        in_progress = caller.push(configuration, "Id,Delay\n1,2\n2,x\n").json()["importId"]
        caller.status(in_progress)
        caller.pigment.release()
        caller.pigment.finished(in_progress)
        failed = caller.push(configuration, "nothing that fits\n", path="/import/push/csv").json()["importId"]
        caller.pigment.finished(failed)
        for import_id in (in_progress, failed):
            caller.status(import_id)
            caller.status(import_id, detailed=False)
            caller.call("GET", f"/import/{import_id}/status")
        asked = {"configurationId": configuration}
        caller.call("POST", "/v1/import/trigger", params=asked)
        # The key is in the header: a key in the address is only in Pigment's articles, not in its description.
        caller.call("POST", "/v1/import/push/looker", params=asked, json={"attachment": {"data": "Id,Delay\n3,4\n"}})
        for path in ("applications", "blocks", "importConfigurations", "views"):
            caller.call("GET", f"/v1/{path}")
        caller.push("no-uuid", "")
        caller.push(in_progress, "")
        caller.status(configuration)
        caller.call("GET", "/v1/views", key="wrong")
    assert len(caller.server.exchanges) > 15
    for exchange in caller.server.exchanges:
        conformity.assert_conforms(exchange, document)


def test_every_export_conforms_to_the_description(tmp_path: Path) -> None:
    document = conformity.load("pigment-external-api")
    (tmp_path / "profit.csv").write_text("Country,Cost\nFR,50.00\n")
    with called() as caller:
        application = caller.pigment.application("Planning")
        table = caller.pigment.table_of(application, "Profit", tmp_path / "profit.csv", ["Country"])
        blocks = {block.type: block.id for block in caller.pigment.blocks()}
        country, cost = blocks["DimensionList"], blocks["Metric"]
        actual = caller.pigment.scenario(application, "Actual")
        french = {"dimensionId": country, "modalityIds": [caller.pigment.modality(country, "FR")]}
        # Not a whole number: it would be both types of `oneOf`, integer and number, which is invalid.
        above = {"metricId": cost, "condition": {"type": "GreaterThan", "value": 10.5}}
        both = [{"type": "Dimension", "dimension": french}, {"type": "Value", "value": above}]
        written = {
            "friendlyHeaders": True,
            "dateFormat": "Legacy",
            "fieldDelimiter": "Comma",
            "encoding": "Utf8WithBom",
        }
        gridded = {"scenarios": [actual], "filters": [french], "exportFilter": {"type": "And", "and": both}, **written}
        name = caller.pigment.technical_name(country, "Name")
        asked = {
            f"list/{country}": {"propertyTechnicalNames": [name], "listFilter": french["modalityIds"], **written},
            f"metric/{cost}": {"decimalSeparator": "Comma", **gridded},
            f"table/{table}": {
                "metrics": [cost],
                "fields": [{"type": "ValueField", "sourceId": cost, "displayName": "Costs"}],
                **gridded,
            },
        }
        for path, options in asked.items():
            for version in ("", "/v1"):
                assert caller.call("POST", f"{version}/export/{path}", json=options).status_code == 200
                caller.call("POST", f"{version}/export/{path}", json={"of": "no kind"})
                caller.call("POST", f"{version}/export/{path}", json={}, key="wrong")
                caller.call("POST", f"{version}/export/{path[:-8]}deadbeef", json={})
        view = caller.pigment.view(table, "Export")
        chart = caller.pigment.view(table, "Chart", exportable=False)
        caller.call("GET", "/v1/views", params={"applicationId": application, "blockId": table})
        for address in (view, chart, table, "no-uuid"):
            caller.call("GET", f"/export/view/{address}", params={"dateFormat": "Iso8601", "fieldDelimiter": "Comma"})
            caller.call("GET", f"/v1/export/view/{address}", params={"fieldDelimiter": "Semicolon"})
        caller.pigment.view_limit_rows = 0
        caller.call("GET", f"/export/view/{view}")
    assert {exchange.status for exchange in caller.server.exchanges} == {200, 400, 401, 404, 413, 422}
    for exchange in caller.server.exchanges:
        conformity.assert_conforms(exchange, document)
