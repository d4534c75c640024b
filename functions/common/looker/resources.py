"""Looker's own objects as rows: users, Looks, dashboards, folders and projects from its lists; queries that were run
from System Activity, because the API has no list of queries.

Users come in pages, everything else as one body each, as API 4.0 offers them; a body that looks like a page is read on.
One body is better for a landing: it
shows one moment, while pages shift as they are read. `search_looks` and similar calls have pages, but do not say if
deleted objects are among them, and leave out LookML dashboards (API 4.0, `all_looks`, `search_dashboards`). With only
the fields that become columns, a hundred thousand Looks are some 40 MB.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Self

import msgspec

from common.looker.client import LookerAnswer, LookerClient
from common.looker.explore import ExploreFields
from common.looker.query import LookerQuery
from common.platform.errors import AnswerNotUnderstood, LookerRefused, LookNotFound, StreamCut
from common.platform.http import in_blocks
from common.tables.records import write_records

PAGE_ROWS = 1_000
"Each page is a call, and licences count calls."

LIST_SEPARATOR = "|"
"Separates the ids of one field."

_OVERLAP_AND_MORE = 2
_PAGES_ARE_MULTIPLES_OF = 10
_MOST_STEPS_BACK = 20
"Otherwise a list that changes with every page would be read without end."


class Resource(msgspec.Struct, frozen=True):
    """One of Looker's lists, and the columns of its rows."""

    columns: tuple[str, ...]
    "By their names in the API; `folder.name` is a field of an object. No column contains secrets."
    permission: str
    "The permission that the Looker user needs to see them."
    is_paged: bool = False
    restricted_column: str = ""
    "Without full permission, the Looker user sees this column in its own row only."

    @property
    def fields(self) -> str:
        """The API's `fields` parameter for exactly these columns: `id,folder(id,name)`."""
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
        "see_users (a user who is not an admin sees names only)",
        is_paged=True,
        restricted_column="email",
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

_QUERY_ID = "query.id"
"A number in public LookML. Ids of queries are texts since Looker 25.2, so this field may become one."

_QUERIES = LookerQuery(
    model="system__activity",
    view="history",
    # Only fields that a query has once: a Look, a dashboard or a user would make one row of each run, and so would
    # query.link, which adds look.id. The names are those of public LookML and dashboards on this explore.
    fields=[
        *(_QUERY_ID, "query.slug", "query.model", "query.view", "query.formatted_fields", "query.limit"),
        *("history.query_run_count", "user.count", "history.average_runtime", "history.max_runtime"),
        *("history.first_query_date", "history.most_recent_query_date"),
    ],
    filters={_QUERY_ID: "NOT NULL"},  # runs of SQL Runner have no query
    sorts=[_QUERY_ID],
    query_timezone="UTC",
)


def query_of(resource: str) -> LookerQuery | None:
    """Return the query whose rows are the resource; None if Looker has a list of it."""
    return _QUERIES if resource == "queries" else None


def without_nulls(query: LookerQuery, fields: ExploreFields) -> LookerQuery:
    """Return the query of `queries` with a filter that its field of ids understands."""
    identity = fields.by_name().get(_QUERY_ID)
    # For a field of text, NOT NULL is a text that no row has (Looker docs, "filter expressions").
    not_null = "-NULL" if identity is not None and identity.type == "string" else "NOT NULL"
    return msgspec.structs.replace(query, filters={_QUERY_ID: not_null})


class ResourceListing:
    """A list of `RESOURCES` as CSV, with the methods of a `LookerStream`."""

    def __init__(self, looker: LookerClient, resource: str) -> None:
        self._looker = looker
        self._name = resource
        self._resource = RESOURCES[resource]
        self._seen: set[str] = set()
        self._has_changed = False
        self._announced_rows = 0
        self._rows_with_restricted = 0
        self.warnings: list[str] = []
        "Complete after the last block."

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close: every answer was read whole."""

    @property
    def has_sent_nothing(self) -> bool:
        return False

    def first(self) -> list[msgspec.Raw]:
        """Return the objects of the first answer: a page, or all of them. Raises as `blocks` does."""
        return self._objects(self._ask_page(0))

    def blocks(self) -> Iterator[bytes]:
        """Yield header and rows as UTF-8 with LF line ends, in blocks of about a megabyte.

        Raises:
            LookerRefused: the user may not see the list.
            StreamCut: the list changes faster than it can be read.
            AnswerNotUnderstood: the answer is not a list of objects with ids.
            LookerBusy, LookerLoginRefused, OutOfTime.
        """
        header = write_records([self._resource.columns])
        yield from in_blocks(chain([header], chain.from_iterable(map(self._rows, self._pages()))))
        self._warn()

    def _pages(self) -> Iterator[list[msgspec.Raw]]:
        offset = steps_back = longest = 0
        first = ""
        while True:
            try:
                answer = self._ask_page(offset)
            except LookerRefused:
                if self._resource.is_paged or not offset:
                    raise
                return  # Looker knows no pages of this list, so its first answer was the whole list.
            page = self._objects(answer)
            begin = _text(self._decoded(page[0])["id"]) if page else ""
            if offset and begin == first:
                # Looker has ignored the offset: it has sent its first answer again.
                self._expect_whole(offset)
                return
            # A page begins with the last row of the page before. If it does not, rows before it were deleted, and as
            # many rows have moved into the part already read: go back to a row that has been seen.
            if offset and begin not in self._seen:
                self._has_changed = True
                steps_back += 1
                if steps_back > _MOST_STEPS_BACK:
                    raise StreamCut(f"The list of {self._name} changed faster than it could be read.")
                offset = max(0, offset - PAGE_ROWS)
                continue
            yield page[1:] if offset else page
            first, longest = first or begin, max(longest, len(page))
            self._announced_rows = _announced_rows(answer)
            offset += len(page) - 1
            if self._is_last(page, longest, offset):
                return

    def _is_last(self, page: list[msgspec.Raw], longest: int, offset: int) -> bool:
        """Whether a page ends the list. Looker may have an undocumented page limit, and need not count the rows: a page
        is short only if it has fewer rows than another one, and the first page if there is nothing beyond it.
        """
        if len(page) < _OVERLAP_AND_MORE:
            return True
        if self._announced_rows:
            return len(page) < PAGE_ROWS and self._announced_rows <= offset + 1
        if not self._resource.is_paged and offset + 1 == len(page):
            # One body is the whole list, according to the API. A page has a round number of rows.
            return len(page) % _PAGES_ARE_MULTIPLES_OF > 0
        return len(page) < longest

    def _expect_whole(self, offset: int) -> None:
        if self._resource.is_paged:
            again = f"Looker sent the first of its {self._name} again when it was asked for those after {offset + 1:,}"
            raise StreamCut(f"{again}: the list cannot be read to its end.")

    def _ask_page(self, offset: int) -> LookerAnswer:
        paging = {"limit": str(PAGE_ROWS), "offset": str(offset)}
        if self._resource.is_paged:
            return self._ask(**paging, sorts="id")
        # A list that began without paging continues in Looker's own order.
        return self._ask(**paging) if offset else self._ask()

    def _ask(self, **paging: str) -> LookerAnswer:
        what = f"its {self._name}"
        try:
            return self._looker.send("GET", f"/{self._name}", what, None, fields=self._resource.fields, **paging)
        except (LookNotFound, LookerRefused) as error:
            # Looker answers like this to a user without permission. A list without objects would be empty.
            next_step = f"Give the bridge's Looker user permission to see {self._name}: {self._resource.permission}."
            raise LookerRefused(error.cause, next_step=next_step) from None

    def _objects(self, answer: LookerAnswer) -> list[msgspec.Raw]:
        try:
            return msgspec.json.decode(answer.body, type=list[msgspec.Raw])
        except msgspec.DecodeError:
            raise AnswerNotUnderstood(f"Looker's answer about its {self._name} is not a list.") from None

    def _rows(self, page: Iterable[msgspec.Raw]) -> Iterator[bytes]:
        for raw in page:
            row = self._decoded(raw)
            identity = _text(row.get("id"))
            if identity in self._seen:
                self._has_changed = True
                continue
            self._seen.add(identity)
            self._rows_with_restricted += row.get(self._resource.restricted_column) is not None
            yield write_records([[_text(_within(row, column)) for column in self._resource.columns]])

    def _decoded(self, raw: msgspec.Raw) -> dict[str, Any]:
        try:
            row = msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError:
            row = {}
        if row.get("id") is None:
            raise AnswerNotUnderstood(f"One of Looker's {self._name} has no id.")
        return row

    def _warn(self) -> None:
        name, seen, restricted = self._name, len(self._seen), self._resource.restricted_column
        if self._has_changed:
            self.warnings.append(f"The list of {name} changed while it was read. Repeated rows count once.")
        needed = f"it needs {self._resource.permission}."
        if self._announced_rows > seen:
            counted = f"Looker counts {self._announced_rows:,} {name} and showed {seen:,}"
            self.warnings.append(f"{counted}. Its user may not see all of them; {needed}")
        if restricted and self._rows_with_restricted <= 1 < seen:
            counted = f"Of {seen:,} {name}, {self._rows_with_restricted} came with {restricted}"
            self.warnings.append(f"{counted}. The bridge's user may not see all fields of the others; {needed}")


def _announced_rows(answer: LookerAnswer) -> int:
    """Return Looker's own count of the rows, or 0: it is sent only if it is cheap (sdk-codegen, `docs/paging.md`)."""
    count = answer.headers.get("X-Total-Count", "")
    return int(count[:18]) if count.isdecimal() else 0


def _within(row: Mapping[str, Any], column: str) -> Any:
    outer, _, name = column.partition(".")
    value = row.get(outer)
    return value if not name else value.get(name) if isinstance(value, dict) else None


def _text(value: Any) -> str:
    """Return a value as a cell: null as empty text, a list as its members."""
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
