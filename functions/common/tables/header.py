"""How two headers differ, in words."""

from collections.abc import Sequence

from common.platform.text import listed


def header_changes(before: Sequence[str], after: Sequence[str]) -> str:
    """Name the columns that were renamed, are missing or are new; of many columns, the first."""
    missing, new = set(before) - set(after), set(after) - set(before)
    # In headers of different lengths, the place of a column says nothing about its earlier name.
    pairs = zip(before, after, strict=True) if len(before) == len(after) else ()
    renamed = {name: other for name, other in pairs if name in missing and other in new}
    missing, new = missing - renamed.keys(), new - set(renamed.values())
    kinds = {
        "Renamed": listed([*renamed], become=[*renamed.values()]),
        "Missing": listed([name for name in before if name in missing]),
        "New": listed([name for name in after if name in new]),
    }
    found = [f"{kind}: {names}." for kind, names in kinds.items() if names]
    return " ".join(found) or "The order of the columns, or the number of equal ones, differs."
