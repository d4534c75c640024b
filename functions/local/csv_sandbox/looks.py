"""CSV files as Looks in the sandboxed Looker, each with a list in the sandboxed Pigment that accepts its columns."""

import itertools
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from uuid import UUID, uuid5

import duckdb
import msgspec

from common.platform.errors import MalformedRequest, OurFault
from local import job_text
from local.csv_sandbox import names_of_columns
from local.job_text import JobDraft
from local.sandbox.looker.explores import LookerField, title_of
from local.sandbox.looker.filters import Kind
from local.sandbox.pigment import BlockColumn, SandboxPigment
from local.sandbox.pigment.model import PropertyType
from local.sandbox.vendors import SandboxVendors

APPLICATION = "Sandbox"
MODEL = "sandbox"

_IDS = UUID("7d5d3c0e-8f2b-4b0e-9c1a-5a1d3f6e2b94")
"Ids of import configurations follow from it, so that a bridge.yaml works with the next sandbox too."
_ROWS_OF_AN_EXPLORE = 500
"The limit that Looker saves with a Look unless its author changes it. The bridge reads all rows."
_ADVICE = ("The search space used was", "Possible fixes")
"How lines of DuckDB's errors begin after which only its own options follow."
_SUFFIXES = (".csv", ".csv.gz", ".csv.zip")


class LookFile(msgspec.Struct, frozen=True):
    """A CSV file and the number of the Look that shows it."""

    look: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> "LookFile":
        """Parse `12=sales.csv`.

        Raises:
            MalformedRequest: it has another form, or there is no such file.
        """
        look, _, name = text.partition("=")
        if not re.fullmatch(r"[1-9][0-9]{0,8}", look) or not name:
            raise MalformedRequest(
                f"{text!r} is not a number and a file.", next_step="Write --look NUMBER=FILE, such as 12=sales.csv."
            )
        path = Path(name).expanduser()
        if not path.is_file():
            raise MalformedRequest(f"There is no file {path}.", next_step="Write the path of a CSV file after the =.")
        if not path.name.lower().endswith(_SUFFIXES):
            raise MalformedRequest(
                f"{path} has none of the endings {', '.join(_SUFFIXES)}.", next_step="Save the table as CSV in UTF-8."
            )
        return cls(look, path)

    @property
    def title(self) -> str:
        stem = re.split(r"\.csv", self.path.name, flags=re.IGNORECASE)[0]
        return title_of(re.sub(r"[\W_]+", "_", stem).strip("_")) or f"Look {self.look}"


class SandboxLook(msgspec.Struct, frozen=True):
    """A Look over a file, and the import configuration for its rows."""

    look: str
    title: str
    file: Path
    job: str
    "The name of the pull in bridge.yaml."
    rows: int
    repeated_rows: int
    "Looker shows equal rows once."
    columns: Mapping[str, PropertyType]
    "The type of each column in Pigment, by its header in Looker."
    configuration: str

    @property
    def view(self) -> str:
        return view_of(self.job)

    def draft(self) -> JobDraft:
        return JobDraft(
            "pulls",
            self.job,
            {
                "source": {"look": self.look},
                "target": {"configuration": self.configuration, "repeatable": True},
            },
            {
                "source": f"the Look {self.title}, over {self.file}",
                "target.configuration": f"the import configuration of the list {self.title} in {APPLICATION}",
                "target.repeatable": "the import replaces all rows, so sending them again is harmless",
            },
        )


def expect_different(files: Collection[LookFile]) -> None:
    """Raise MalformedRequest if two files have the same number."""
    twice = [look for look, times in Counter(file.look for file in files).items() if times > 1]
    if twice:
        raise MalformedRequest(f"--look names {', '.join(twice)} twice.", next_step="Give each file its own number.")


def put(files: Iterable[LookFile], vendors: SandboxVendors) -> list[SandboxLook]:
    """Put each file into Looker, and a list for its columns into Pigment.

    Raises:
        MalformedRequest: a file is not CSV.
        OurFault: a list in Pigment has other columns from an earlier start.
    """
    looks: list[SandboxLook] = []
    for file in files:
        looks.append(_put(file, vendors, looks))
    return looks


def _put(file: LookFile, vendors: SandboxVendors, others: Sequence[SandboxLook]) -> SandboxLook:
    title = file.title if file.title not in {each.title for each in others} else f"{file.title} {file.look}"
    job = job_text.job_name(title, [each.job for each in others], f"look-{file.look}")
    try:
        explore = vendors.looker.explore(MODEL, view_of(job), file.path, label=title)
        names_of_columns.expect_read(file.path, explore.columns())
    except (duckdb.Error, OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        cause, next_step = _reason(error), "Save it as CSV in UTF-8, with the names of the columns in its first line."
        if isinstance(error, duckdb.Error) and _has_two_kinds_of_line_ends(file.path):
            cause = "some of its lines end with CR and LF, others with LF alone."
            next_step = "Save it again, with one kind of line ends."
        raise MalformedRequest(f"{file.path} cannot be read as CSV: {cause}", next_step=next_step) from None
    fields = [field for field in explore.fields.values() if not field.measure]
    names = [field.name for field in fields]
    vendors.looker.look(file.look, title, MODEL, view_of(job), names, limit=str(_ROWS_OF_AN_EXPLORE))
    columns = [BlockColumn(field.label, "text" if explore.has_word(field) else _type_of(field)) for field in fields]
    configuration = _configure(vendors.pigment, file, title, columns)
    rows, different_rows = explore.count_rows()
    types = {column.header: column.type for column in columns}
    return SandboxLook(file.look, title, file.path, job, rows, rows - different_rows, types, configuration)


def _reason(error: Exception) -> str:
    """Return DuckDB's words without its advice on its own options, and without the cells that it quotes."""
    first_paragraph = str(error).partition("\n\n")[0].splitlines()
    words = itertools.takewhile(lambda line: not line.startswith(_ADVICE), first_paragraph)
    return "; ".join(line for line in words if not line.startswith("Original Line")) or type(error).__name__


def _has_two_kinds_of_line_ends(path: Path) -> bool:
    content = path.read_bytes()
    with_cr = content.count(b"\r\n")
    return 0 < with_cr < content.count(b"\n")


def view_of(job: str) -> str:
    """Return the name of the explore over a file."""
    return job.replace("-", "_")


def _type_of(field: LookerField) -> PropertyType:
    """Return the type of a column in Pigment, which has days but no times."""
    match field.kind:
        case Kind.NUMBER:
            return "integer" if "INT" in field.sql_type and "HUGE" not in field.sql_type else "number"
        case Kind.DATE:
            return "date"
        case Kind.YESNO:
            return "boolean"
        case _:
            return "text"


def _configure(pigment: SandboxPigment, file: LookFile, title: str, columns: Sequence[BlockColumn]) -> str:
    """Save an import configuration that replaces all rows of a list, and a view of this list."""
    try:
        block = pigment.block(pigment.application(APPLICATION), title)
        pigment.view(block, f"All {title}")
        return pigment.configuration(block, columns, uuid=str(uuid5(_IDS, f"look {file.look}")), clear="all")
    except ValueError as error:
        raise OurFault(
            f"Pigment's list {title} does not accept the columns of {file.path}: {error}",
            next_step="If the file has changed since the sandbox was started last, delete the folder .sandbox, which "
            "stores the lists, and start again. Otherwise give each column another name.",
        ) from None
