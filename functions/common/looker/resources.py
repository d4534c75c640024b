"""What Looker holds itself, one row each: users, Looks, dashboards, folders and projects from its lists; and the
queries that were run, from System Activity, since the API has no list of queries.

Users come by pages. The others come as one body each, which is what API 4.0 has, and the better way for a landing: one
body is one moment, where pages shift under whoever reads them. `search_looks` and its like have pages, but say nothing
of whether the deleted are among them, and leave out LookML dashboards (API 4.0, `all_looks`, `search_dashboards`). With
only the fields that become columns, a hundred thousand Looks are some 40 MB.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import msgspec

from common.looker.client import LookerAnswer, LookerClient, Query
from common.platform.errors import AnswerNotUnderstood, LookerRefused, LookNotFound, StreamCut
from common.platform.http import BLOCK_BYTES
from common.tables.csv import written

PAGE_ROWS = 1_000
"Each page is a call, and licences count those."

LIST_SEPARATOR = "|"
"Between the ids of one field."

_OVERLAP_AND_MORE = 2
_MOST_STEPS_BACK = 20
"A list that moves under every page would be asked for without end."


class Resource(msgspec.Struct, frozen=True):
    """One of Looker's lists, and the rows it becomes."""

    columns: tuple[str, ...]
    "As the API names them; `folder.name` reaches into an object. None can hold a secret."
    permission: str
    "What Looker's user needs in order to see them."
    is_paged: bool = False
    telltale: str = ""
    "A column that Looker's user sees in its own row alone, where it may not see all of the others."

    @property
    def fields(self) -> str:
        """The API's `fields` that bring the columns and nothing else: `id,folder(id,name)`."""
        inner: dict[str, list[str]] = {}
        for column in self.columns:
            outer, _, name = column.partition(".")
            inner.setdefault(outer, []).extend([name] if name else [])
        return ",".join(f"{outer}({','.join(names)})" if names else outer for outer, names in inner.items())


RESOURCES: Mapping[str, Resource] = {
    "users": Resource(
        (
            *("id", "first_name", "last_name", "display_name", "email", "is_disabled", "is_service_account"),
            *("role_ids", "group_ids", "locale", "home_folder_id", "personal_folder_id"),
        ),
        "see_users (a user who is no admin is shown names alone)",
        is_paged=True,
        telltale="email",
    ),
    "looks": Resource(
        (
            *("id", "title", "description", "folder.id", "folder.name", "model.id", "query_id", "user_id"),
            *("user_name", "public", "created_at", "updated_at", "last_accessed_at", "last_viewed_at", "view_count"),
        ),
        "see_looks, and access to the folders",
    ),
    "dashboards": Resource(
        (
            *("id", "title", "description", "folder.id", "folder.name", "model.id", "user_id", "slug", "hidden"),
            *("readonly", "query_timezone", "refresh_interval", "preferred_viewer"),
        ),
        "see_user_dashboards and see_lookml_dashboards, and access to the folders",
    ),
    "folders": Resource(
        (
            *("id", "name", "parent_id", "creator_id", "created_at", "child_count", "is_personal"),
            *("is_personal_descendant", "is_shared_root", "is_users_root", "is_embed", "external_id"),
        ),
        "access to the folders",
    ),
    "projects": Resource(
        (
            *("id", "name", "uses_git", "git_production_branch_name", "git_service_name", "git_release_mgmt_enabled"),
            *("pull_request_mode", "validation_required", "allow_warnings", "is_example"),
            *("has_production_counterpart", "dependency_status"),
        ),
        "see_lookml or develop",
    ),
}

ACTIVITY_PERMISSION = "see_system_activity"

_QUERIES = Query(
    model="system__activity",
    view="history",
    # Only what a query has once: a Look, a dashboard or a user among them would make a row of each run's, as would
    # query.link, which brings look.id along. The names are those of public LookML and dashboards on this explore.
    fields=[
        *("query.id", "query.slug", "query.model", "query.view", "query.formatted_fields", "query.limit"),
        *("history.query_run_count", "user.count", "history.average_runtime", "history.max_runtime"),
        *("history.first_query_date", "history.most_recent_query_date"),
    ],
    filters={"query.id": "NOT NULL"},  # SQL Runner's runs have no query
    sorts=["query.id"],
    query_timezone="UTC",
)


def query_of(resource: str) -> Query | None:
    """The query whose rows are the resource, to be run as any other; None for what is listed."""
    return _QUERIES if resource == "queries" else None


def listed(looker: LookerClient, resource: str) -> "ResourceListing":
    """A resource that Looker lists, as CSV.

    Args:
        resource: one of `RESOURCES`.
    """
    return ResourceListing(looker, resource)


class ResourceListing:
    """A list as CSV on its way; to be used as `looker.Stream` is."""

    def __init__(self, looker: LookerClient, resource: str) -> None:
        self._looker = looker
        self._name = resource
        self._resource = RESOURCES[resource]
        self._seen: set[str] = set()
        self._has_changed = False
        self._announced_rows = 0
        self._telling_rows = 0
        self.warnings: list[str] = []
        "Whole once the last block was taken."

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held: every answer was taken whole."""

    def first(self) -> list[msgspec.Raw]:
        """The objects of one answer: a page, or all of them. Raises as `blocks` does."""
        return self._objects(self._ask_page(0) if self._resource.is_paged else self._ask())

    def blocks(self) -> Iterator[bytes]:
        """Header and rows as UTF-8, each row ended by LF, in blocks of about a megabyte.

        Raises:
            LookerRefused: the list is not for this user.
            StreamCut: it changes faster than it can be read.
            AnswerNotUnderstood: the answer is no list of objects with ids.
            LookerBusy, LookerLoginRefused, OutOfTime.
        """
        waiting = [written([self._resource.columns])]
        waiting_bytes = 0
        for page in self._pages():
            for row in self._rows(page):
                waiting.append(row)
                waiting_bytes += len(row)
                if waiting_bytes >= BLOCK_BYTES:
                    yield b"".join(waiting)
                    waiting, waiting_bytes = [], 0
        yield b"".join(waiting)
        self._warn()

    def _pages(self) -> Iterator[list[msgspec.Raw]]:
        if not self._resource.is_paged:
            yield self.first()
            return
        offset = went_back = 0
        while True:
            answer = self._ask_page(offset)
            page = self._objects(answer)
            # A page begins with the last row of the one before. Where it does not, rows before it were taken away, and
            # as many may have slipped past: they are behind a row that has been seen.
            if offset and not (page and self._identity(page[0]) in self._seen):
                self._has_changed = True
                went_back += 1
                if went_back > _MOST_STEPS_BACK:
                    raise StreamCut(f"The list of {self._name} changed faster than it could be read.")
                offset = max(0, offset - PAGE_ROWS)
                continue
            yield page[1:] if offset else page
            self._announced_rows = _announced_rows(answer)
            offset += len(page) - 1
            # Looker may have a longest page of its own, which no document names: a short page need not be the last.
            if len(page) < PAGE_ROWS and (len(page) < _OVERLAP_AND_MORE or self._announced_rows <= offset + 1):
                return

    def _ask_page(self, offset: int) -> LookerAnswer:
        return self._ask(limit=str(PAGE_ROWS), offset=str(offset), sorts="id")

    def _ask(self, **paging: str) -> LookerAnswer:
        what = f"its {self._name}"
        try:
            return self._looker.send("GET", f"/{self._name}", what, None, fields=self._resource.fields, **paging)
        except (LookNotFound, LookerRefused) as error:
            # Looker answers so to a user who may not see them; that there are none would be an empty list.
            next_step = f"Give the bridge's Looker user what it needs to see {self._name}: {self._resource.permission}."
            raise LookerRefused(error.cause, next_step=next_step) from None

    def _objects(self, answer: LookerAnswer) -> list[msgspec.Raw]:
        try:
            return msgspec.json.decode(answer.body, type=list[msgspec.Raw])
        except msgspec.DecodeError:
            raise AnswerNotUnderstood(f"Looker's answer about its {self._name} is no list.") from None

    def _rows(self, page: Iterable[msgspec.Raw]) -> Iterator[bytes]:
        for raw in page:
            row = self._decoded(raw)
            identity = _text(row.get("id"))
            if identity in self._seen:
                self._has_changed = True
                continue
            self._seen.add(identity)
            self._telling_rows += row.get(self._resource.telltale) is not None
            yield written([[_text(_within(row, column)) for column in self._resource.columns]])

    def _identity(self, raw: msgspec.Raw) -> str:
        return _text(self._decoded(raw)["id"])

    def _decoded(self, raw: msgspec.Raw) -> dict[str, Any]:
        try:
            row = msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError:
            row = {}
        if row.get("id") is None:
            raise AnswerNotUnderstood(f"One of Looker's {self._name} has no id.")
        return row

    def _warn(self) -> None:
        if self._has_changed:
            self.warnings.append(f"The list of {self._name} changed while it was read; what came twice counts once.")
        if self._announced_rows > len(self._seen):
            self.warnings.append(
                f"Looker counts {self._announced_rows:,} {self._name} and showed {len(self._seen):,}: its user may not "
                f"see all of them. It needs {self._resource.permission}."
            )
        if self._resource.telltale and self._telling_rows <= 1 < len(self._seen):
            self.warnings.append(
                f"Of {len(self._seen):,} {self._name}, {self._telling_rows} came with {self._resource.telltale}: the "
                f"bridge's Looker user may not see all there is of the others. It needs {self._resource.permission}."
            )


def _announced_rows(answer: LookerAnswer) -> int:
    """How many rows there are by Looker's own count, which comes only where it costs Looker little; else 0.

    Source: sdk-codegen, `docs/paging.md`.
    """
    count = answer.headers.get("X-Total-Count", "")
    return int(count[:18]) if count.isdecimal() else 0


def _within(row: Mapping[str, Any], column: str) -> Any:
    outer, _, name = column.partition(".")
    value = row.get(outer)
    if not name:
        return value
    return value.get(name) if isinstance(value, dict) else None


def _text(value: Any) -> str:
    """A value as a cell: nothing is empty, a list is its members."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return LIST_SEPARATOR.join(map(_text, value))
        case str():
            return value
    return msgspec.json.encode(value).decode()
