"""A process that keeps an index is killed, or refused by the disk, at one system call after another.

Short by default; `RAG_FAULTS=long pytest tests/faults -k index -s` goes through hundreds and prints the count.
"""

from __future__ import annotations

import collections
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import life
import numpy as np
import pytest

from rag.errors import IndexMismatch, RagError
from rag.filters import Filter
from rag.index import Index
from rag.index.pages import Pages

ROOT = Path(__file__).resolve().parents[2]
LONG = os.environ.get("RAG_FAULTS") == "long"
CALLS = ("pwrite64", "fsync", "fdatasync", "write", "rename", "openat", "unlink", "ftruncate", "pread64")
ERRORS = [
    *((call, "EIO") for call in ("pwrite64", "fsync", "fdatasync", "write", "ftruncate", "pread64")),
    *((call, "ENOSPC") for call in ("pwrite64", "write", "openat")),
    *(("openat", error) for error in ("EACCES", "EMFILE")),
    *(("rename", error) for error in ("EIO", "EACCES", "ENOSPC")),
    ("unlink", "EACCES"),
]


def traced(folder: Path, kind: str, *rules: str, log: Path | None = None) -> list[str]:
    """Live one life in `folder` under strace with these rules; the lines of its ledger."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    flags = [flag for rule in rules for flag in ("-e", rule)]
    command = ["strace", "-f", "-o", str(log or "/dev/null"), *flags, sys.executable, life.__file__]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command += [str(folder / "index"), str(folder / "ledger"), kind]
    done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return (folder / "ledger").read_text().splitlines() if (folder / "ledger").exists() else []


@pytest.fixture(scope="module", params=life.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def points(kind: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, range]:
    """Which calls of each kind belong to the life of the index, counted from 1 as strace counts."""
    folder = tmp_path_factory.mktemp("count")
    probe = ["strace", "-f", "-o", "/dev/null", "true"]
    if shutil.which("strace") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("strace is not installed or may not trace here (apt-get install strace)")
    lines = traced(folder / "life", kind, f"trace={','.join(CALLS)},getppid", log=folder / "log")
    assert lines[-1] == "end"
    assert all(line.endswith(" ok") for line in lines[:-1])
    before: dict[str, int] = {}
    count: collections.Counter[str] = collections.Counter()
    for line in (folder / "log").read_text().splitlines():
        if name := re.match(r"\d+ +(\w+)\(", line):
            if name[1] == "getppid":
                before = dict(count)
            count[name[1]] += 1
    return {call: range(before.get(call, 0) + 1, count[call] + 1) for call in CALLS}


def spread(points: dict[str, range], calls: Sequence[str], short: int, long: int) -> Iterator[tuple[str, int]]:
    """Some of the points, evenly over each kind of call; all of the rare ones first."""
    wanted = -(-(long if LONG else short) // len(calls))
    spare = max(0, (long if LONG else short) - sum(min(wanted, len(points[call])) for call in calls))
    for call in calls:
        some = min(len(points[call]), wanted + (spare if call == "pwrite64" else 0))
        yield from ((call, points[call][i * len(points[call]) // some]) for i in range(some))


def possible(kind: str, ledger: Sequence[str]) -> dict[str, set[int]]:
    """Per document, the versions that may be there (0: none): the last acknowledged, or what failed after it."""
    versions: dict[str, set[int]] = collections.defaultdict(lambda: {0})
    versions.update((name, {version}) for name, version in life.before(kind).items())
    results = dict(line.split() for line in ledger if line != "end")
    for number, (_, names, version) in enumerate(life.steps(kind)):
        for name in names.split():
            if number <= len(results):
                acknowledged = results.get(str(number)) == "ok"
                versions[name] = {version} if acknowledged else versions[name] | {version}
    return versions


def judged(folder: Path, kind: str, ledger: Sequence[str]) -> None:
    """Open what was left without any help: nothing acknowledged is lost, nothing is half, everything is proven."""
    if (folder / "index" / "store.db").exists():
        pages = Pages(folder / "index" / "store.db")
        assert kind == "migration" or pages.wrong() == [], "a page is in the database, but not its hash"
        pages.close()
    if kind == "reindex":
        if "0 ok" not in ledger:
            with suppress(IndexMismatch):  # it was swapped, and nobody was told any more
                judged_with(folder, life.MAKER, possible(kind, ledger))
            Index.remake(folder / "index", **life.NEW, make=life.halves)
        judged_with(folder, life.NEW, possible(kind, ledger))
    else:
        judged_with(folder, life.MAKER, possible(kind, ledger))


def judged_with(folder: Path, maker: dict[str, Any], versions: dict[str, set[int]]) -> None:
    with Index.open(folder / "index", **maker) as index:
        report = index.check()
        assert report.ok, report.problems
        assert report.repaired == ()
        there = {row.source.title: int(row.digest.removeprefix(row.source.title)) for row in index.sources()}
        for name, expected in versions.items():
            assert there.get(name, 0) in expected, f"{name}: {there.get(name, 0)} is there, {expected} may be"
        removed = {"e1", "e3", "e4"} - set(there)
        assert "e5" not in there or len(removed) in (0, 3), f"only {removed} were removed"
        for name, version in there.items():
            document, passages, vectors = life.made(name, version)
            if maker == life.NEW:
                passages, vectors = life.halves(document)
            assert index.document(document.source.id) == document
            ids, cosines = index.dense(vectors, 1, Filter(sources=(document.source.id,)))
            assert index.passages(ids[:, 0].tolist()) == passages
            assert np.allclose(cosines, 1)
        ones = np.ones((1, index.dim), np.float32)
        assert len(index.dense(ones, 10_000)[0][0]) == len(index)
        sets = {row.source.title: row.collection for row in index.sources()}
        assert sum(len(index.dense(ones, 10_000, Filter(collections=(c,)))[0][0]) for c in set(sets.values())) == len(
            index
        )
        settled = {sets[name] for name in ("d0", "d4", "d5", "d6", "d7") if name in sets}
        assert len(settled) <= 1, f"half of a collection was renamed: {sets}"
        document = life.made("after", 1)[0]
        index.put(document, *(life.halves(document) if maker == life.NEW else life.made("after", 1)[1:]))
    with Index.open(folder / "index", **maker) as index:
        assert index.find(document.source.id) is not None
        index.remove(document.source.id)


@pytest.mark.timeout(3600)
def test_a_kill_at_any_system_call_loses_nothing_acknowledged_and_leaves_nothing_half(
    points: dict[str, range], kind: str, tmp_path: Path
) -> None:
    seen: collections.Counter[str] = collections.Counter()
    for call, number in spread(points, CALLS, *((18, 300) if kind == "documents" else (9, 60))):
        ledger = traced(tmp_path / "life", kind, f"trace={call}", f"inject={call}:signal=SIGKILL:when={number}")
        assert "end" not in ledger, f"{call} {number} was never reached"
        try:
            judged(tmp_path / "life", kind, ledger)
        except (AssertionError, RagError) as error:
            raise AssertionError(f"killed at {call} {number}, after {ledger[-1:]}: {error}") from error
        seen[call] += 1
    print(f"\n{sum(seen.values())} kills ({kind}): {dict(seen)}")


@pytest.mark.timeout(3600)
def test_a_disk_that_refuses_any_call_leads_to_a_named_error_and_nothing_half(
    points: dict[str, range], kind: str, tmp_path: Path
) -> None:
    seen: collections.Counter[str] = collections.Counter()
    most = 120 if kind == "documents" else 45
    each, kinds = max(1, (most if LONG else 15) // len(ERRORS)), collections.Counter[str]()
    for number, (call, error) in enumerate(ERRORS):
        for i in range(min(each, len(points[call]))):
            when = points[call][(2 * i + 1) * len(points[call]) // (2 * each)]
            lasting = "+" if (i + number) % 2 else ""  # once, or from then on
            rule = f"inject={call}:error={error}:when={when}{lasting}"
            ledger = traced(tmp_path / "life", kind, f"trace={call}", rule)
            assert ledger[-1:] == ["end"] or not ledger, f"{rule} ended the process after {ledger[-1:]}"
            try:
                judged(tmp_path / "life", kind, ledger)
            except (AssertionError, RagError) as problem:
                raise AssertionError(f"{rule}, ledger {ledger}: {problem}") from problem
            kinds.update(line.split()[1] for line in ledger[:-1])
            seen[f"{call} {error}"] += 1
    print(f"\n{sum(seen.values())} injected errors ({kind}): {dict(seen)}; steps ended {dict(kinds)}")


def test_an_index_is_made_whole_or_not_at_all(points: dict[str, range], kind: str, tmp_path: Path) -> None:
    """SQLite says nothing when it cannot copy its log on closing: a database got its name without half of its pages."""
    if kind != "documents":
        pytest.skip("it was made before")
    made = points["pwrite64"][: 80 if LONG else 72]
    for when in made[:: 1 if LONG else 9]:
        ledger = traced(tmp_path / "life", kind, "trace=pwrite64", f"inject=pwrite64:error=EIO:when={when}")
        try:
            judged(tmp_path / "life", kind, ledger)
        except (AssertionError, RagError) as problem:
            raise AssertionError(f"pwrite64 {when}, ledger {ledger[:3]}: {problem}") from problem
    print(f"\n{len(made[:: 1 if LONG else 9])} injected errors (making): EIO")


def test_the_snapshot_is_on_the_disk_before_the_database_names_it(
    points: dict[str, range], kind: str, tmp_path: Path
) -> None:
    """In place of a power cut: the order in which things are made durable."""
    if kind == "reindex":
        pytest.skip("whoever opens it next writes the snapshot")
    traced(tmp_path / "life", kind, "trace=openat,fsync,rename,fdatasync,pwrite64,getppid", log=tmp_path / "log")
    text = (tmp_path / "log").read_text().split("getppid", 1)[1]
    handles: dict[str, str] = {}
    events = []
    for line in text.splitlines():
        if opened := re.search(r'openat\(.*"([^"]*)".*\) = (\d+)', line):
            handles[opened[2]] = Path(opened[1]).name.split("-")[0]
        elif synced := re.search(r"(fsync|fdatasync|pwrite64)\((\d+)", line):
            events.append(f"{synced[1]} {handles.get(synced[2], '?')}")
        elif named := re.search(r'rename\(.*"[^"]*/(tmp)-[^"]*", "[^"]*/(\w+)', line):
            events.append(f"rename {named[1]} {named[2]}")
    at = events.index("rename tmp vectors")
    assert events[at - 1] == "fsync tmp"
    assert events[at + 1] == "fsync index", events[at : at + 5]
