"""Bits that turn over unseen, a full disk, two processes: the outcome is the same, rebuilt, or a named error.

Short by default; `RAG_FAULTS=long pytest tests/faults -k index -s` flips 500 bits in each file and prints the classes.
"""

from __future__ import annotations

import collections
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import life
import numpy as np
import pytest

from rag.errors import IndexBusy, IndexError_
from rag.filters import Filter
from rag.index import Index, store

ROOT = Path(__file__).resolve().parents[2]
FLIPS = 500 if os.environ.get("RAG_FAULTS") == "long" else 20
CHILD = {"env": os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"}, "text": True}

CRASH = """
import os, sys, life
from pathlib import Path
for number, line in enumerate(life.live(Path(sys.argv[1]), life.steps())):
    if number == len(life.steps()) - 2:
        os.kill(os.getpid(), 9)
"""
ADD = """
import sys, life
from pathlib import Path
from rag.index import Index
with Index.open(Path(sys.argv[1]), **life.MAKER) as index:
    print("open", flush=True)
    for version in range(1, 60):
        for name in "abc":
            index.put(*life.made(name, version))
    print("done", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index that was closed in order."""
    folder = tmp_path_factory.mktemp("closed") / "index"
    assert all(line.endswith("ok") for line in life.live(folder, life.steps()))
    with Index.open(folder, **life.MAKER) as index:
        for i in range(40):
            index.put(*life.made(f"x{i}", 1))
    return folder


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index whose process was killed: no fresh seal, a full log."""
    folder = tmp_path_factory.mktemp("crashed") / "index"
    subprocess.run([sys.executable, "-c", CRASH, str(folder)], **CHILD)
    assert (folder / "store.db-wal").stat().st_size > 0
    return folder


def everything(folder: Path) -> str:
    """All that can be asked of an index, as one text. Raises IndexError_."""
    query = np.random.default_rng(9).standard_normal((3, life.DIM)).astype(np.float32)
    with Index.open(folder, **life.MAKER) as index:
        ids, cosines = index.dense(query, 10_000)
        words = [index.lexical(word, 10_000) for word in ("part1", "version1 d3", "word2")]
        words += [index.lexical("part1", 10_000, Filter(collections=(row.name,))) for row in index.collections()]
        documents = [(row, index.document(row.source.id)) for row in index.sources()]
        passages = index.passages(ids[0].tolist())
        keys = sorted(index.key(p) for p in passages)
        vectors = [(key, vector.tolist()) for key, vector in index.vectors_of(keys).items()]
        found = (ids.tolist(), cosines.tolist(), words, documents, passages, vectors, index.idf(["part1", "d3", "no"]))
        return repr((found, index.fingerprint, len(index)))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("state", "name"),
    [("closed", "store.db"), ("closed", "*.faiss"), ("closed", "SEAL"), ("closed", "FORMAT"), ("closed", "PAGES"),
     ("large closed", "store.db"), ("large closed", "PAGES"), ("large closed", "*.faiss"),
     ("crashed", "store.db"), ("crashed", "store.db-wal"), ("crashed", "*.faiss"),
     ("large crashed", "store.db"), ("large crashed", "store.db-wal")],
)  # fmt: skip
def test_no_flipped_bit_changes_anything_silently(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, name: str
) -> None:
    """`large`: as if the database were too large to be proven before it is opened."""
    if state.startswith("large"):
        monkeypatch.setattr(store, "HASHED_BYTES", 0)
    original = request.getfixturevalue(state.split()[-1])
    shutil.copytree(original, tmp_path / "whole")
    wanted = everything(tmp_path / "whole")
    classes: collections.Counter[str] = collections.Counter()
    dice = random.Random(f"{state} {name}")
    for number in range(FLIPS if "." in name or name == "PAGES" else FLIPS // 10):
        folder = tmp_path / f"flip{number}"
        shutil.copytree(original, folder)
        path = next(folder.glob(name))
        data = bytearray(path.read_bytes())
        at, bit = dice.randrange(len(data)), dice.randrange(8)
        data[at] ^= 1 << bit
        path.write_bytes(data)
        try:
            got = everything(folder)
            assert got == wanted, f"bit {bit} of byte {at} of {name} changed the answer and nobody said so"
            classes["same or rebuilt"] += 1
        except IndexError_ as error:
            classes[type(error).__name__] += 1
        shutil.rmtree(folder)
    print(f"\n{sum(classes.values())} flips in {name} ({state}): {dict(classes)}")
    if name == "*.faiss":
        assert set(classes) == {"same or rebuilt"}


def test_a_second_writer_is_told_at_once_and_readers_see_whole_documents(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    Index.open(folder, **life.MAKER).close()
    child: Any = subprocess.Popen(
        [sys.executable, "-c", ADD, str(folder)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, **CHILD
    )
    assert child.stdout.readline() == "open\n"
    with pytest.raises(IndexBusy, match=f"held by process {child.pid}"):
        Index.open(folder, **life.MAKER)
    moments = set()
    with Index.open(folder, **life.MAKER, write=False) as reader:
        while child.poll() is None and len(moments) < 100_000:
            moments.add(look(reader))
            if max(moments)[0] == 59 and min(reader_versions(reader)) == 59:
                break
    assert child.communicate("\n")[0] == "done\n"
    assert len(moments) > 1, "the reader saw nothing change"


def reader_versions(reader: Index) -> list[int]:
    return [int(reader.document(row.source.id).text.split("version")[1].split()[0]) for row in reader.sources()] or [0]


def look(reader: Index) -> tuple[int, int]:
    """One moment: every document whole, of one version; the three at most one version apart."""
    with reader.reading():
        ids, _ = reader.dense(np.ones((1, life.DIM), np.float32), 1000)
        passages = reader.passages(ids[0].tolist())
        versions = {}
        for row in reader.sources():
            own = [p for p in passages if p.source == row.source]
            (version,) = {int(p.text.split("version")[1].split()[0]) for p in own}
            assert sorted(own, key=lambda p: p.span) == life.made(row.source.title, version)[1]
            versions[row.source.title] = version
    found = [versions.get(name, 0) for name in "abc"]
    assert found == sorted(found, reverse=True)
    assert found[0] - found[2] <= 1
    return found[0], found[2]


@pytest.mark.parametrize("kilobytes", [350, 500, 700, 1000])
def test_a_full_disk_refuses_the_next_document_and_keeps_the_others(tmp_path: Path, kilobytes: int) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        acknowledged = []
        with Index.open(disk / "index", **life.MAKER) as index:
            for number in range(400):
                try:
                    index.put(*life.made(f"n{number}", 1))
                    acknowledged.append(f"n{number}")
                except IndexError_ as error:
                    assert "full" in str(error) or "could not be changed" in str(error)
                    break
            else:
                pytest.fail("the disk never filled up")
            assert len(index.sources()) == len(acknowledged)
            assert index.dense(np.ones((1, life.DIM), np.float32), 1)[0].size == 1
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        with Index.open(disk / "index", **life.MAKER) as index:
            assert {row.source.title for row in index.sources()} == set(acknowledged)
            index.put(*life.made("later", 1))
            assert index.check().ok
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_too_small_for_any_index_is_a_named_error(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(disk)], capture_output=True
        ).returncode
    ):
        pytest.skip("only root may mount a small disk")
    try:
        for _ in range(2):
            with pytest.raises(IndexError_):
                Index.open(disk / "index", **life.MAKER)
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        Index.open(disk / "index", **life.MAKER).close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
