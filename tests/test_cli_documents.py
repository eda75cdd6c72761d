"""The commands about documents, as processes: filters, collections, watching, reindexing."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_cli import ROOT, rag

from rag.add import Progress
from rag.cli.shared import rate_of

PLAN = "# Plans\n\nThe office moves to Leeds in May.\n"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "plan.md").write_text(PLAN)
    os.utime(folder / "plan.md", (86_400 * 400, 86_400 * 400))
    for args in (("seeds/", "--collection", "news"), (str(folder / "plan.md"),)):
        done = rag("add", *args, "--index", str(folder / "index"))
        assert done.returncode == 0, done.stderr
    return str(folder / "index")


@pytest.mark.parametrize(("flags", "found"), [
    (("--type", "md"), "Leeds"), (("--type", "text/plain", "--collection", "news"), "txt"),
    (("--until", "1971"), "Leeds"), (("--source", "plan.md"), "Leeds"), (("--collection", "default"), "Leeds"),
    (("--since", "2100-01"), ""),
])  # fmt: skip
def test_search_looks_where_it_is_told(index: str, flags: tuple[str, ...], found: str) -> None:
    done = rag("search", "trees", "-k", "1", *flags, "--index", index)
    assert done.returncode == 0, done.stderr
    assert found in done.stdout
    assert bool(done.stdout) == bool(found)


@pytest.mark.parametrize(("flags", "says"), [
    (("--type", "docz"), "docz"), (("--collection", "nope"), "rag show --collections"), (("--since", "May"), "2025-03"),
    (("--source", "nope.txt"), "no document"),
])  # fmt: skip
def test_what_cannot_be_is_told_with_its_cure(index: str, flags: tuple[str, ...], says: str) -> None:
    done = rag("ask", "Where does the office move?", *flags, "--index", index)
    assert done.returncode == 2
    assert says in done.stderr


def test_an_answer_comes_from_where_it_was_told_to_look(index: str) -> None:
    question = "Where does the office move in May?"
    assert "Leeds" in rag("ask", question, "--collection", "default", "--index", index).stdout
    assert "Leeds" not in rag("ask", question, "--collection", "news", "--index", index).stdout


def test_check_says_what_it_found_and_mends_what_it_can(tmp_path: Path) -> None:
    (tmp_path / "plan.md").write_text(PLAN)
    index = str(tmp_path / "index")
    rag("add", str(tmp_path / "plan.md"), "--index", index)
    assert rag("check", "--index", index).stdout.startswith("1 documents, 1 passages: all hold (")
    with contextlib.closing(sqlite3.connect(Path(index) / "store.db", isolation_level=None)) as con:
        con.execute("UPDATE vectors SET row = zeroblob(length(row))")
    done = rag("ask", "Where does the office move?", "--index", index)
    assert done.returncode == 4
    assert "rag check" in done.stderr
    mended = rag("check", "--index", index)
    assert mended.returncode == 0, mended.stderr
    assert "\nrepaired: made again from its text: file:///" in mended.stdout
    assert "plan.md: the vector of passage 1 is not what was stored" in mended.stdout
    assert "Leeds" in rag("ask", "Where does the office move in May?", "--index", index).stdout


def test_an_add_that_is_stopped_says_what_is_kept_and_goes_on_when_it_is_called_again(tmp_path: Path) -> None:
    folder, index = tmp_path / "many", str(tmp_path / "index")
    folder.mkdir()
    for n in range(400):
        (folder / f"{n}.txt").write_text(f"The ship of number {n} carries rice. " * 12)
    command = [sys.executable, "-m", "rag", "add", str(folder), "--index", index]
    calm = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, **calm) as process:
        database = Path(index) / "FORMAT"
        while process.poll() is None and not database.exists():
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert said.strip() == "rag: stopped; what was acknowledged is kept"
    kept = len(rag("show", "--index", index).stdout.splitlines())
    done = rag("add", str(folder), "--index", index)
    assert f"{400 - kept} added" in done.stdout
    assert not kept or f"{kept} unchanged" in done.stdout


def test_a_file_name_reaches_the_terminal_as_words_only(tmp_path: Path) -> None:
    folder, index = tmp_path / "odd", str(tmp_path / "index")
    folder.mkdir()
    (folder / "a\x1b[2J\u202e\nb.txt").write_text("The ship carries five tons of rice.")
    (folder / "c\x1b[2Jd.pdf").write_text("no PDF")
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("The harbour is closed in May.")
    done = rag("add", str(folder), "--index", index)
    assert "\x1b" not in done.stdout + done.stderr
    assert "c[2Jd.pdf: it is named .pdf but is none" in done.stderr
    listed = rag("show", "--index", index).stdout
    assert [line.rsplit("  ", 1)[1] for line in listed.splitlines()] == ["a[2J b.txt", "caf\ufffd.txt"]


def test_collections_are_listed_renamed_and_removed(index: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "index")
    assert rag("add", "seeds/", "--collection", "old", "--index", folder).returncode == 0
    assert "2 documents are in new" in rag("rename", "old", "new", "--index", folder).stdout
    assert "2 documents" in rag("show", "--collections", "--index", folder).stdout
    assert rag("rename", "old", "x", "--index", folder).returncode == 2
    assert rag("remove", "--collection", "old", "--index", folder).returncode == 2
    assert rag("remove", "--index", folder).returncode == 2
    assert "removed 2 documents" in rag("remove", "--collection", "new", "--index", folder).stdout
    assert rag("show", "--index", folder).stdout == ""


def test_watch_follows_a_folder_while_another_process_asks_and_ends_cleanly(tmp_path: Path) -> None:
    docs, index = tmp_path / "docs", str(tmp_path / "index")
    docs.mkdir()
    (docs / "one.txt").write_text("The canteen opens at noon.")
    process = subprocess.Popen(
        [sys.executable, "-m", "rag", "watch", str(docs), "--index", index],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert "1 added" in process.stdout.readline()
        (docs / "two.md").write_text(PLAN)
        assert "1 added" in process.stdout.readline()
        assert "Leeds" in rag("search", "office", "-k", "1", "--index", index).stdout
        assert "held by process" in rag("add", "seeds/", "--index", index).stderr
        (docs / "two.md").unlink()
        assert "1 removed" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert "what was acknowledged is kept" in process.communicate(timeout=30)[0]
        assert process.returncode == 0
    finally:
        process.kill()
    assert "one.txt" in rag("show", "--index", index).stdout


def test_other_passage_rules_are_refused_with_the_command_that_cures_it(tmp_path: Path) -> None:
    index, rules = str(tmp_path / "index"), ("--set", "split.max_tokens=64")
    rag("add", "seeds/", "--index", index)
    refused = rag("search", "trees", "--index", index, *rules)
    assert refused.returncode == 4
    assert f"rag reindex --index {index}" in refused.stderr
    assert "2 documents made anew" in rag("reindex", "--index", index, *rules).stdout
    assert "nothing to do" in rag("reindex", "--index", index, *rules).stdout
    assert "tree" in rag("search", "trees", "--index", index, *rules).stdout
    assert rag("check", "--index", index, *rules).returncode == 0


def test_the_rate_is_in_megabytes_where_they_are_known_and_in_documents_else() -> None:
    assert rate_of(Progress(1, 2, Path("b"), bytes=3_000_000, all_bytes=6_000_000), 2.0) == "1.50 MB/s"
    assert rate_of(Progress(0, 1, Path("b"), bytes=500_000, all_bytes=6_000_000), 2.0) == "0.25 MB/s"
    assert rate_of(Progress(30, 60, None), 4.0) == "7.5 a second"
    assert rate_of(Progress(0, 60, None), 4.0) == rate_of(Progress(1, 2, Path("b")), 0.0) == ""
