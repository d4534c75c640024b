"""Starts the command line, or says which extra of the package it needs: the package alone has only the functions."""

import importlib.util
import sys

_NEEDED = "typer"
"Of the extra `local`, whose packages are installed together."
_EXTRA_MISSING = """\
error: The command line needs packages that are not installed.
→ Install it with its extra `local`, in the folder of its source: pipx install --force '.[local]'"""


def main() -> None:
    if importlib.util.find_spec(_NEEDED) is None:
        sys.exit(_EXTRA_MISSING)
    from local import cli  # noqa: PLC0415  # it imports these packages

    cli.main()


if __name__ == "__main__":
    main()
