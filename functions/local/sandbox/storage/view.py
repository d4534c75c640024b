"""The plain view: every live object as a file under its own name, for people to look at.

It is made of hard links to the blobs, so it costs no space, and nothing is ever read from it. A name that no file can
have (`a//b`, `..`, a segment over 255 bytes, a name that is also another's folder) is left out.
"""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path


class PlainView:
    """`root/<bucket>/<object name>`. Its callers hold the storage's lock."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self._root = root
        self._scratch = scratch
        "Where a link is made before it takes another's place."

    def show(self, bucket: str, name: str, blob: Path) -> None:
        path = self._path(bucket, name)
        if path:
            with contextlib.suppress(OSError):
                self._link(blob, path)

    def hide(self, bucket: str, name: str, blob: Path) -> None:
        """Unless the file there is another object's, or a person's own."""
        path = self._path(bucket, name)
        if path:
            with contextlib.suppress(OSError):
                if path.samefile(blob):
                    self._remove(path)

    def hide_every(self, inodes: Collection[int]) -> None:
        """All files that are these blobs; what a person has put there stays."""
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
