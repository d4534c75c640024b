"""Names of columns that BigQuery accepts."""

import itertools
from collections.abc import Sequence


def distinct(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return names that are unique in any case, because BigQuery would refuse others, and warnings."""
    taken = {name.casefold() for name in header}
    names: list[str] = []
    warnings: list[str] = []
    used: set[str] = set()
    for name in header:
        new = name
        if name.casefold() in used:
            new = next(other for turn in itertools.count(2) if (other := f"{name} ({turn})").casefold() not in taken)
            warnings.append(f"The header contains {name} more than once: in the Parquet file one of them is {new}.")
            taken.add(new.casefold())
        used.add(new.casefold())
        names.append(new)
    return names, warnings
