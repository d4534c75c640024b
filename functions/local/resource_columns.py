"""The resources of Looker that a pull can read, with the columns of each."""

from collections.abc import Iterator

from rich.table import Table

from common.looker import resources


def table() -> Table:
    out = Table("resource", "columns", "Looker's user needs", show_lines=True)
    for name, columns, permission in _resources():
        out.add_row(name, ", ".join(columns), permission)
    return out


def markdown() -> str:
    """The same table in Markdown."""
    rows = [
        f"| `{name}` | {', '.join(f'`{column}`' for column in columns)} | {permission} |"
        for name, columns, permission in _resources()
    ]
    return "\n".join(["| resource | columns | Looker's user needs |", "|---|---|---|", *rows])


def _resources() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Each resource with its columns and the permission that reading it needs."""
    for name, resource in resources.RESOURCES.items():
        yield name, resource.columns, resource.permission
    query = resources.query_of("queries")
    if query is not None:
        yield "queries", tuple(query.fields or []), f"{resources.ACTIVITY_PERMISSION}, and download_without_limit"
