"""The plain view: every live object as a file under its own name, for people to read.

It consists of hard links to the blobs, so it needs no space. The sandbox never reads from it. Names that are not valid
file names are left out: `a//b`, `..`, a segment over 255 bytes, a name that is also the folder of another object.
"""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path


class PlainView:
    """The files `root/<bucket>/<object name>`. Callers must hold the storage's lock."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self._root = root
        self._scratch = scratch
        "The folder for a new link before it replaces an old one."

    def show(self, bucket: str, name: str, blob: Path) -> None:
        path = self._path(bucket, name)
        if path:
            with contextlib.suppress(OSError):
                self._link(blob, path)

    def hide(self, bucket: str, name: str, blob: Path) -> None:
        """Remove the file, unless it belongs to another object or to a person."""
        path = self._path(bucket, name)
        if path:
            with contextlib.suppress(OSError):
                if path.samefile(blob):
                    self._remove(path)

    def hide_every(self, inodes: Collection[int]) -> None:
        """Remove all files that link to these blobs; other files stay."""
        for folder, subfolders, names in os.walk(self._root):
            if Path(folder) == self._root:
                subfolders[:] = [name for name in subfolders if not name.startswith(".")]
                continue
            for name in names:
                path = Path(folder, name)
                if path.lstat().st_ino in inodes:
                    self._remove(path)

    def add_bucket(self, bucket: str) -> None:
        (self._root / bucket).mkdir(exist_ok=True)

    def remove_bucket(self, bucket: str) -> None:
        with contextlib.suppress(OSError):
            (self._root / bucket).rmdir()

    def _path(self, bucket: str, name: str) -> Path | None:
        segments = name.split("/")
        if any(segment in ("", ".", "..") or "\0" in segment for segment in segments):
            return None
        return self._root.joinpath(bucket, *segments)

    def _link(self, blob: Path, path: Path) -> None:
        try:
            os.link(blob, path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(blob, path)
        except FileExistsError:
            if not path.samefile(blob):
                self._replace(blob, path)

    def _replace(self, blob: Path, path: Path) -> None:
        beside = self._scratch / "view"
        os.link(blob, beside)
        try:
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def _remove(self, path: Path) -> None:
        path.unlink()
        with contextlib.suppress(OSError):
            for folder in path.relative_to(self._root).parents[:-2]:
                (self._root / folder).rmdir()
