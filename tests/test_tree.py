"""Which files of a folder are read: git's rules, checked against git itself."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.tree import Tree

FILES = """a.txt b.log keep.log drafts/one.txt drafts/two/three.txt notes/drafts.txt notes/.hidden.txt notes/x.txt
notes/deep/x.txt notes/deep/y.txt build/out.txt src/build/out.txt src/node_modules/m.txt .git2/c.txt data/1.csv
data/keep/2.csv café/ü.txt weird[1].txt sp ace.txt pkg.egg-info/p.txt __pycache__/q.txt"""
RULES = {
    ".gitignore": "*.log\n!keep.log\n/build/\n# a comment\n\ndata/*\n!data/keep\nweird\\[1\\].txt\n",
    "notes/.gitignore": "x.txt\n!deep/x.txt\n",
    "drafts/.gitignore": "two/\n",
}
SUFFIXES = (".txt", ".log", ".csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in FILES.replace("sp ace", "sp\0ace").split():
        path = root / name.replace("\0", " ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    for name, text in RULES.items():
        (root / name).write_text(text)
    return root


def found(folder: Path, *exclude: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Tree(folder, SUFFIXES, exclude).files()}


def test_what_git_ignores_is_passed_over_and_so_is_what_is_hidden_or_generated(folder: Path) -> None:
    assert shutil.which("git")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    listed = subprocess.run(
        ["git", "-C", str(folder), "ls-files", "-z", "--others", "--exclude-standard"], capture_output=True, check=True
    ).stdout.decode()
    always = ("node_modules", "__pycache__", "egg-info")
    wanted = {
        name
        for name in listed.split("\0")
        if name and not any(part.startswith(".") or part.endswith(always) for part in name.split("/"))
    }
    assert found(folder) == wanted
    assert "keep.log" in wanted
    assert "src/build/out.txt" in wanted
    assert "notes/deep/x.txt" in wanted


def test_ragignore_has_the_word_over_gitignore_and_the_caller_over_both(folder: Path) -> None:
    (folder / ".ragignore").write_text("!b.log\ncafé/\n")
    assert found(folder) >= {"b.log", "keep.log"}
    assert "café/ü.txt" not in found(folder)
    assert "keep.log" not in found(folder, "keep.log")
    assert not any(name.startswith("notes/") for name in found(folder, "notes/"))
    assert found(folder, "*") == set()


def test_wants_says_of_each_path_what_the_walk_does(folder: Path) -> None:
    tree = Tree(folder, SUFFIXES, ["sp ace*"])
    walked = set(tree.files())
    for path in folder.rglob("*"):
        if path.is_file():
            assert tree.wants(path) == (path in walked), path
    assert tree.wants(folder / "notes")
    assert not tree.wants(folder / "build")
    assert tree.wants(folder / "gone")
    assert not tree.wants(folder / ".git" / "index.lock")
    assert not tree.wants(folder)
    assert not tree.wants(folder.parent / "else.txt")


def test_links_and_other_indexes_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "link.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "index").mkdir()
    for name in ("FORMAT", "store.db", "README.txt"):
        (folder / "index" / name).write_text("x")
    assert not {"link/secret.txt", "link.txt", "index/README.txt"} & found(folder)
    assert not Tree(folder, SUFFIXES).wants(folder / "link" / "secret.txt")
    assert not Tree(folder, SUFFIXES).wants(folder / "index" / "README.txt")


def test_an_ignore_file_that_cannot_be_read_as_text_stops_nothing(folder: Path) -> None:
    (folder / "notes" / ".ragignore").write_bytes(b"\xff\xfe\0x\n[\n")
    (folder / "drafts" / ".ragignore").mkdir()
    assert "a.txt" in found(folder)


def test_what_nobody_reads_is_counted_by_its_ending_unless_it_is_excluded(folder: Path) -> None:
    for name in ("old.doc", "sub/b.DOC", "photo.jpg", "LICENSE", ".secret", "build/x.doc", "notes/x.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    (folder / "link.txt").symlink_to(folder / "a.txt")
    (folder / "loop").symlink_to(folder)
    tree = Tree(folder, SUFFIXES, ["*.jpg"])
    assert len(list(tree.files())) == len(found(folder))
    assert tree.others == {".doc": 2, "without an ending": 1, "links": 2}


def test_a_folder_that_may_not_be_read_is_told(folder: Path, unreadable: Callable[[str], None]) -> None:
    unreadable("deep")
    tree = Tree(folder, SUFFIXES)
    assert "notes/drafts.txt" in {path.relative_to(folder).as_posix() for path in tree.files()}
    assert [error.filename for error in tree.closed] == [str(folder / "notes" / "deep")]
