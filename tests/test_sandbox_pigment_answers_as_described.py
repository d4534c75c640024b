"""What crosses the wire is what Pigment's own API description allows."""

from pathlib import Path

import conformity
from local.sandbox.pigment import Column
from pigment_caller import called


def test_every_exchange_is_as_described(tmp_path: Path) -> None:
    document = conformity.load("pigment-external-api")
    (tmp_path / "flights.csv").write_text("Id,Delay\n1,2\n")
    with called() as caller:
        configuration = caller.flights("Id", Column("Delay", "integer"), source=lambda: tmp_path / "flights.csv")
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
        # With the key in its header: the one in the address is in Pigment's articles, not in its description.
        caller.call("POST", "/v1/import/push/looker", params=asked, json={"attachment": {"data": "Id,Delay\n3,4\n"}})
        for path in ("applications", "blocks", "importConfigurations", "views"):
            caller.call("GET", f"/v1/{path}")
        caller.push("no-uuid", "")
        caller.push(in_progress, "")
        caller.status(configuration)
        caller.call("GET", "/v1/views", key="wrong")
    for exchange in caller.server.exchanges:
        conformity.assert_conforms(exchange, document)
    assert len(caller.server.exchanges) > 15
