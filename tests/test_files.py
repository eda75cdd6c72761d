"""Whole files or none, the name of exact bytes, and a lock that two cannot hold."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rag import files

HOLD = """
import sys, time
from pathlib import Path
from rag.files import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_sha256_of_is_the_digest_of_the_bytes_whatever_their_number(tmp_path: Path) -> None:
    for size in (0, 1, 1_000_000):
        data = os.urandom(size)
        (tmp_path / "f").write_bytes(data)
        assert files.sha256_of(tmp_path / "f") == hashlib.sha256(data).hexdigest()


def test_a_written_file_has_the_new_bytes_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    for data in (b"old", b"", b"new"):
        files.write_atomically(tmp_path / "f", data)
        assert (tmp_path / "f").read_bytes() == data
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_where_the_disk_refuses_the_old_file_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    files.write_atomically(tmp_path / "f", b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], refuse)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(tmp_path / "f", b"new")
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order that a power cut tests: content, rename, folder."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def seen(handle: int) -> None:
        steps.append("fsync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "fsync file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", seen)
    monkeypatch.setattr(Path, "replace", lambda a, b: (steps.append("rename"), replace(a, b))[1])
    files.write_atomically(tmp_path / "f", b"x")
    assert steps == ["fsync file", "rename", "fsync folder"]


def test_a_lock_is_held_by_one_and_names_its_holder(tmp_path: Path) -> None:
    lock = files.Lock(tmp_path / "LOCK")
    with pytest.raises(BlockingIOError, match=f"held by process {os.getpid()}"):
        files.Lock(tmp_path / "LOCK")
    lock.release()
    lock.release()
    files.Lock(tmp_path / "LOCK").release()


def test_a_killed_process_leaves_the_lock_to_the_next(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "LOCK")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError, match=f"held by process {holder.pid}"):
        files.Lock(tmp_path / "LOCK")
    holder.kill()
    holder.communicate()
    files.Lock(tmp_path / "LOCK").release()
