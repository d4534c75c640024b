"""Looker's lists in pages, by servers that do not count them: they are read on until a page is short or empty."""

import dataclasses
from typing import Any

import pytest

from local.sandbox.wire import Request, Response, Site
from tests.support.world import World

LISTS = ("users", "looks", "dashboards", "folders", "projects")


@dataclasses.dataclass
class PagingLooker:
    """A Looker whose lists come in pages of at most `page_rows`, without X-Total-Count or Link."""

    site: Site
    rows: list[dict[str, Any]]
    page_rows: int = 500
    ignores_offset: bool = False
    refuses_offset: bool = False

    def answer(self, request: Request) -> Response:
        if request.path.removeprefix("/api/4.0/") not in LISTS:
            return self.site.answer(request)
        limit, offset = int(request.argument("limit", "500") or 0), int(request.argument("offset", "0") or 0)
        if offset and self.refuses_offset:
            return Response.of_json({"message": "Unknown parameter"}, 422)
        begin = 0 if self.ignores_offset else offset
        return Response.of_json(self.rows[begin:][: min(limit, self.page_rows)])


def pages(world: World, count: int, **how: Any) -> PagingLooker:
    rows = [{"id": str(number), "email": f"{number}@example.com"} for number in range(1, count + 1)]
    site = PagingLooker(world.looker_server.site, rows, **how)
    world.looker_server.site = site
    return site


def read(world: World, resource: str) -> tuple[int, list[str]]:
    world.add_pull("own", source={"resource": resource})
    answer = world.run_pull("own", preview=True)
    assert answer.status == 200, answer.body
    return answer.receipt["rows"]["read"], answer.receipt["warnings"]


@pytest.mark.parametrize("resource", LISTS)
@pytest.mark.parametrize("count", [1_800, 1_500, 500, 999, 1], ids=str)
def test_a_list_in_pages_is_whole(world: World, resource: str, count: int) -> None:
    pages(world, count)

    assert read(world, resource) == (count, [])


@pytest.mark.parametrize("page_rows", [100, 250])
def test_pages_of_any_size_are_read_on(world: World, page_rows: int) -> None:
    pages(world, 620, page_rows=page_rows)

    assert read(world, "looks") == (620, [])


@pytest.mark.parametrize("how", [{"ignores_offset": True}, {"refuses_offset": True}], ids=["ignored", "refused"])
def test_a_list_that_has_no_pages_is_whole_at_once(world: World, how: dict[str, bool]) -> None:
    pages(world, 500, **how)

    assert read(world, "looks") == (500, [])


def test_users_that_cannot_be_read_to_their_end_are_refused(world: World) -> None:
    pages(world, 1_800, ignores_offset=True)
    world.add_pull("own", source={"resource": "users"})

    answer = world.run_pull("own")

    assert answer.code == "stream_cut", answer.body
    assert "cannot be read to its end" in answer.error["message"]
