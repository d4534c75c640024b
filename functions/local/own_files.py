"""The files that a person's bridge reads, bridge.yaml and .env, as commands write them: whole, or not at all."""

import contextlib
import errno
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from common.platform.errors import OurFault

_FOR_ALL = 0o644
_FOR_OWNER_ALONE = 0o600


def create(path: Path, text: str, *, is_secret: bool = False) -> None:
    """Write a new file.

    Raises:
        FileExistsError: there is one already; it stays as it is.
        OurFault: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FOR_OWNER_ALONE if is_secret else _FOR_ALL)
    except FileExistsError:
        raise
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
            file.write(text)
    except OSError as error:
        path.unlink()
        raise _unwritable(path, error) from None


def replace(path: Path, text: str, *, is_secret: bool = False) -> None:
    """Write a file in one step: a reader, and a kill, find the old content or the new one.

    Raises:
        OurFault: it cannot be written.
    """
    target = path.resolve()  # a link stays a link
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        is_secret = is_secret or not target.stat().st_mode & ~_FOR_OWNER_ALONE & 0o777
    try:
        create(draft, text, is_secret=is_secret)
        draft.replace(target)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        draft.unlink(missing_ok=True)


def env_lines(values: Mapping[str, str]) -> str:
    """Return the lines of secrets in an env file. A pair of quotes around a value is not part of it, so it gets one."""
    lines = []
    for name, value in values.items():
        is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        lines.append(f"{name}='{value}'\n" if is_quoted else f"{name}={value}\n")
    return "".join(lines)


_REFUSALS = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR),
        *(errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ELOOP),
    }
)
"What a person can change about a path. Other errors are faults of the bridge."


def refusal(error: OSError) -> OurFault | None:
    """Return the error for a path that cannot be used as a command needs it; None if it is another error."""
    if error.filename is None or error.errno not in _REFUSALS:
        return None
    return OurFault(
        f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}.",
        next_step="Make room or get rights there, or use another folder: --state names that of the bridge.",
    )


def _unwritable(path: Path, error: OSError) -> OurFault:
    return OurFault(
        f"{path} cannot be written: {error.strerror}.",
        next_step="Make room or get rights there, or use another folder.",
    )
