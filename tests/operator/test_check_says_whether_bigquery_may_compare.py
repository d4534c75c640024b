"""`bridge check` says whether the queries of `engine: bigquery` may be run, and runs none."""

from local.checks import queries
from tests.support.world import VIEW, World

VERIFY = {"source": {"view": VIEW}, "key": ["Flights Day"], "engine": "bigquery"}


def test_it_is_green_if_queries_are_taken(world: World) -> None:
    world.add_pull("flights", verify=VERIFY)

    (finding,) = queries.findings(world.instance.config(), world.instance)

    assert (finding.colour, finding.subject) == ("green", "pulls.flights")
    assert world.bigquery.jobs == {}


def test_it_is_red_if_they_are_refused(world: World) -> None:
    world.add_pull("flights", verify=VERIFY)
    world.bigquery.refuse(403, "accessDenied", "User does not have bigquery.jobs.create.")

    (finding,) = queries.findings(world.instance.config(), world.instance)

    assert finding.colour == "red"
    assert "User does not have bigquery.jobs.create." in finding.what


def test_nothing_is_asked_if_no_job_compares_there(world: World) -> None:
    world.add_pull("flights", verify={**VERIFY, "engine": "function"})

    assert list(queries.findings(world.instance.config(), world.instance)) == []
    assert world.bigquery_server.exchanges == []
