"""A request that a thread repeats after its test has ended is not one of the next test's."""

import requests

from tests.support.sites import NoSite, Servers


def test_a_late_request_is_not_kept() -> None:
    with Servers() as servers:
        server = servers.serve("storage", NoSite(), keep_bytes=1)
        requests.get(server.url, timeout=10)
        assert len(server.exchanges) == 1

        servers.reset()
        requests.get(server.url, timeout=10)

        assert server.exchanges == []
