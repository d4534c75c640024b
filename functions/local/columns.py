"""`bridge resources`: which columns each of Looker's own objects has as a source."""

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from common.looker import resources


def table() -> Table:
    """For a person: a resource, what it needs, its columns."""
    out = Table("resource", "columns", "needs", show_lines=True)
    for name, columns, permission in _described():
        out.add_row(name, escape(", ".join(columns)), escape(permission))
    return out


def markdown() -> str:
    """The same as a table of the README."""
    rows = [
        f"| `{name}` | {', '.join(f'`{column}`' for column in columns)} | {permission} |"
        for name, columns, permission in _described()
    ]
    return "\n".join(["| resource | columns | Looker's user needs |", "|---|---|---|", *rows])


def _described() -> Iterator[tuple[str, tuple[str, ...], str]]:
    for name, resource in resources.RESOURCES.items():
        yield name, resource.columns, resource.permission
    query = resources.query_of("queries")
    if query is not None:
        yield "queries", tuple(query.fields or []), f"{resources.ACTIVITY_PERMISSION}, and download_without_limit"
