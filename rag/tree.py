"""A folder in, the files in it that are worth reading out.

What is hidden or generated is passed over, and so is what `.gitignore` and `.ragignore` files in the folder say, in
git's own language (by pathspec): a deeper file has the word over a higher one, a later line over an earlier one, and
`.ragignore` over `.gitignore`, and patterns of the caller over all. Links are not followed: nothing leaves the folder.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".ragignore")
_ALWAYS = (".*", "__pycache__/", "node_modules/", "*.egg-info/")


class Tree:
    """The files under `root` with one of these suffixes ('.txt'), less what is excluded; `exclude`: more patterns.

    Ignore files are read once: make a new one when they change. `others`: what `files` came by that is not excluded and
    of another kind, by its ending, and links; `closed`: the folders that could not be looked into, each with its error.
    """

    def __init__(self, root: Path, suffixes: Collection[str], exclude: Sequence[str] = ()) -> None:
        self.root = root.absolute()
        self._suffixes = frozenset(suffixes)
        self._exclude = _spec(exclude)
        self.others: Counter[str] = Counter()
        self.closed: list[OSError] = []
        self._specs: dict[Path, GitIgnoreSpec] = {self.root: _spec([*_ALWAYS, *_ignored(self.root)])}

    def files(self, under: Path | None = None) -> Iterator[Path]:
        """Every file that is wanted, in order; only those `under` a folder of the tree, if one is named."""
        for folder, folders, names in os.walk(self.root if under is None else under, onerror=self.closed.append):
            here = Path(folder)
            links = [name for name in folders if (here / name).is_symlink()]
            folders[:] = sorted(name for name in folders if not self._passed_over(here / name, is_dir=True))
            for file in (here / name for name in sorted([*links, *names])):
                if self._readable(file):
                    yield file
                elif not self._passed_over(file, is_dir=False):
                    self.others["links" if file.is_symlink() else file.suffix.lower() or "without an ending"] += 1

    def wants(self, path: Path) -> bool:
        """True if `path`, absolute, is a file or a folder in this tree that `files` would come to. Of one that is gone
        nobody knows what it was: True if it may have been."""
        if self.root not in path.parents:
            return False
        above = path.parents[: path.parents.index(self.root)]
        if any(self._passed_over(folder, is_dir=True) for folder in above):
            return False
        return self._readable(path) if path.is_file() else not self._passed_over(path, is_dir=True)

    def _readable(self, file: Path) -> bool:
        wanted = file.suffix.lower() in self._suffixes and not self._passed_over(file, is_dir=False)
        return wanted and not file.is_symlink()

    def _passed_over(self, path: Path, is_dir: bool) -> bool:
        if is_dir and (path.is_symlink() or all((path / name).is_file() for name in ("FORMAT", "store.db"))):
            return True  # a link, or an index of ours
        mark = "/" if is_dir else ""
        if self._exclude.match_file(path.relative_to(self.root).as_posix() + mark):
            return True
        for folder in path.parents:
            if folder not in self._specs:
                self._specs[folder] = _spec(_ignored(folder))
            said = self._specs[folder].check_file(path.relative_to(folder).as_posix() + mark).include
            if said is not None or folder == self.root:
                return bool(said)
        return False


def _ignored(folder: Path) -> list[str]:
    """The lines of a folder's ignore files; none where there is none, or none that can be read."""
    lines = []
    for name in IGNORE_FILES:
        with suppress(OSError):
            lines += (folder / name).read_text("utf-8", "replace").splitlines()
    return lines


def _spec(lines: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)
