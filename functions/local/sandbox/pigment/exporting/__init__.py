"""Exports of views, lists, metrics and tables as CSV, streamed from the imported rows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

from local.sandbox.pigment.exporting import grid, listing, names
from local.sandbox.pigment.exporting.csv_text import Extract, Style
from local.sandbox.pigment.exporting.request_bodies import GridRequest, ListRequest, TableRequest, Unanswerable
from local.sandbox.pigment.imports import ImportingWorkspace
from local.sandbox.pigment.model import Block, BlockColumn, Scenario, View

__all__ = ["ExportingWorkspace", "Unanswerable"]


class ExportingWorkspace(ImportingWorkspace):
    """A workspace whose blocks can be exported."""

    def __init__(self, root: Path | None, clock: Callable[[], float]) -> None:
        super().__init__(root, clock)
        self.view_limit_rows: int | None = None
        "A larger view cannot be exported; Pigment does not publish its own limit."

    def table_of(self, application: str, name: str, file: Path, dimensions: list[str], delimiter: str = ",") -> str:
        """Create a Table from a flat file: a list for each dimension, and a number metric for every other column."""
        header = file.read_text(encoding="utf-8").partition("\n")[0].split(delimiter)
        columns = {
            each: BlockColumn(each, "dimension", to=self._list_of_names(application, each), missing="create")
            for each in dimensions
        }
        metrics = []
        for each in header:
            if each not in columns:
                metric = self.block(application, each, "Metric")
                self.load(
                    self.configuration(metric, [*columns.values(), BlockColumn(each, "number")], delimiter=delimiter),
                    file,
                )
                metrics.append(metric)
        return self.table(application, name, metrics)

    def _list_of_names(self, application: str, name: str) -> str:
        return self.block(application, name, "DimensionList", {"Name": "text"})

    def technical_name(self, block: str, name: str) -> str:
        """Return the technical name of a property; for a metric, pass its block and its name."""
        return names.technical(block, name)

    def modality(self, block: str, name: str) -> str:
        """Return the ID of an item of a list."""
        return str(names.modality_id(block, name))

    def is_too_big(self, view: View) -> bool:
        if self.view_limit_rows is None:
            return False
        shown = self._extract_of_view(self.records.get(Block, view.block))
        rows = sum(self.database.number(query) for query in shown.counts())
        return rows > self.view_limit_rows

    def export_view(self, view: View, style: Style) -> Iterator[bytes]:
        block = self.records.get(Block, view.block)
        return self._write_csv(self._extract_of_view(block), style.of(block))

    def export_list(self, block: Block, requested: ListRequest, style: Style) -> Iterator[bytes]:
        """Export a list. Raises Unanswerable if the request does not fit the block."""
        return self._write_csv(listing.for_request(block, requested, self._list_of), style.of(block))

    def export_grid(self, block: Block, requested: GridRequest, style: Style) -> Iterator[bytes]:
        """Export a metric or a table. Raises Unanswerable if the request does not fit the block."""
        metrics = self._metrics_of(block, requested)
        hidden = [each for each in dict.fromkeys(grid.filtered_metrics(requested.export_filter)) if each not in metrics]
        scenarios = [self._scenario(each) for each in requested.scenarios or ()]
        return self._write_csv(self._grid(metrics, hidden, scenarios).for_request(requested), style.of(block))

    def _write_csv(self, extract: Extract, style: Style) -> Iterator[bytes]:
        return _chain(style.header(extract), self.database.lines(style.queries(extract)))

    def _extract_of_view(self, block: Block) -> Extract:
        if block.type in ("Metric", "Table"):
            return self._grid(self._metrics_of(block), [], []).for_view()
        return listing.for_view(block)

    def _metrics_of(self, block: Block, requested: GridRequest | None = None) -> list[str]:
        if block.type == "Metric":
            return [block.id]
        wanted = [str(each) for each in requested.metrics or ()] if isinstance(requested, TableRequest) else []
        unknown = set(wanted) - set(block.metrics)
        if unknown:
            raise Unanswerable(f"{block.name} has no metric {', '.join(sorted(unknown))}.")
        return wanted or list(block.metrics)

    def _grid(self, shown: list[str], hidden: list[str], scenarios: list[Scenario]) -> grid.Grid:
        requested: list[Scenario | None] = [*scenarios] or [None]
        holders = [
            (scenario, [self._metric(scenario.blocks.get(each, each) if scenario else each) for each in shown + hidden])
            for scenario in requested
        ]
        return grid.Grid([self._metric(each) for each in shown + hidden], len(shown), holders)

    def _metric(self, block_id: str) -> grid.Metric:
        block = self.records.find(Block, block_id)
        if block is None or block.type != "Metric" or not block.properties:
            raise Unanswerable(f"There is no metric {block_id} with values.")
        keys = [key for each in self.configurations(block=block.id) for key in each.key(block)]
        dimensions = [name for name, kind in block.properties.items() if kind == "dimension" or name in keys]
        value = next(name for name in block.properties if name not in dimensions)
        return grid.Metric(block, {self._dimension(block, name): name for name in dimensions}, value)

    def _dimension(self, block: Block, name: str) -> grid.Dimension:
        to = self._list_of(block, name)
        return grid.Dimension(to or block.id + name, name, block.properties[name])

    def _list_of(self, block: Block, name: str) -> str | None:
        """Return the list that a property refers to, according to its import configurations."""
        columns = [column for each in self.configurations(block=block.id) for column in each.columns]
        return next((column.to for column in columns if column.property == name and column.to), None)

    def _scenario(self, wanted: UUID) -> Scenario:
        scenario = self.records.find(Scenario, str(wanted))
        if scenario is None:
            raise Unanswerable(f"There is no scenario {wanted}.")
        return scenario


def _chain(header: bytes, lines: Iterator[bytes]) -> Iterator[bytes]:
    yield header
    yield from lines
