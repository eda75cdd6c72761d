"""Workers that are processes of this machine: killed, poisoned, stopped, orphaned."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from spread import folders

import rag
from rag.errors import ModelError, UsageError
from rag.spread import Task
from rag.spread.processes import Processes
from rag.spread.work import Rules

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed by signals")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.fill(tmp_path_factory.mktemp("documents") / "documents", 6)


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What the plain add reports, and its index."""
    where = tmp_path_factory.mktemp("plain") / "index"
    return added(where, folder), folders.index(where)


def added(where: Path, *paths: Path, **how: Any) -> Any:
    with rag.Assistant(where, write=True) as assistant:
        report = assistant.add(paths, **how)
        assert assistant.check().ok
        return folders.outcome(report)


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in folders.misbehaving(tmp_path / "hook").items():
        monkeypatch.setenv(name, value)
    return tmp_path / "hook"


def test_a_worker_killed_at_work_loses_nothing_and_doubles_nothing(
    folder: Path, plain: tuple[Any, Any], misbehaving: Path, tmp_path: Path
) -> None:
    (tmp_path / "wait.txt").write_text("WAIT here.")

    def kill() -> None:
        os.kill(folders.wait_for(folders.pid_in(misbehaving)), signal.SIGKILL)
        (misbehaving / "go").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    ours = added(tmp_path / "many", folder, tmp_path / "wait.txt", workers=2)
    killer.join()
    theirs = added(tmp_path / "one", folder, tmp_path / "wait.txt")
    assert ours == theirs
    assert folders.index(tmp_path / "many") == folders.index(tmp_path / "one")


def test_a_file_that_kills_its_worker_is_refused_with_the_reason(
    folder: Path, plain: tuple[Any, Any], misbehaving: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.txt").write_text("KILL it.")
    added_, _, _, _, refused, *_ = added(tmp_path / "many", tmp_path / "bad.txt", folder, workers=2)
    assert added_ == plain[0][0]
    assert refused[0][0] == (tmp_path / "bad.txt").as_uri()
    assert refused[0][1] == f"{tmp_path / 'bad.txt'}: it broke the process that works on it (signal 9)"
    assert refused[1:] == plain[0][4]


def test_ctrl_c_leaves_no_process_and_nothing_broken_and_the_next_run_goes_on(
    folder: Path, plain: tuple[Any, Any], misbehaving: Path, tmp_path: Path
) -> None:
    (tmp_path / "wait.txt").write_text("WAIT here.")
    where = tmp_path / "many"
    command = [sys.executable, "-m", "rag", "add", str(folder), str(tmp_path / "wait.txt"), "-i", str(where)]
    process = subprocess.Popen(
        [*command, "--workers", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    worker = folders.wait_for(folders.pid_in(misbehaving))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, complaint = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in said + complaint
    folders.wait_for(lambda: not folders.alive(worker))
    (misbehaving / "go").touch()
    done = subprocess.run([*command, "--workers", "2", "--json"], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert len(report["added"]) + len(report["unchanged"]) == len(plain[0][0]) + 1
    with rag.Assistant(where, write=True) as assistant:
        assert assistant.check().ok
        assert len(assistant.sources()) == len(plain[0][0]) + 1


def test_workers_end_with_a_parent_that_is_killed(misbehaving: Path, tmp_path: Path) -> None:
    """Also from a script without a guard, whose main module must not be run again in each worker."""
    (tmp_path / "wait.txt").write_text("WAIT here.")
    (tmp_path / "note.txt").write_text("A note.")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, rag\nprint('once', flush=True)\n"
        "rag.Assistant(__import__('pathlib').Path(sys.argv[1])).add(sys.argv[2:], workers=2)\n"
    )
    named = [str(tmp_path / "index"), str(tmp_path / "wait.txt"), str(tmp_path / "note.txt")]
    process = subprocess.Popen([sys.executable, str(script), *named], stdout=subprocess.PIPE, text=True)
    worker = folders.wait_for(folders.pid_in(misbehaving))
    process.kill()
    said, _ = process.communicate()
    assert said == "once\n"
    (misbehaving / "go").touch()  # it is not cut off in the middle of a file: it ends when it comes back for more
    folders.wait_for(lambda: not folders.alive(worker))


def test_a_worker_that_falls_silent_is_given_up(misbehaving: Path, quoting: rag.Assistant) -> None:
    rules = Rules("all-minilm-l6-v2", quoting._embedder.fingerprint, 160, 1, "")
    pool = Processes(1, rules, task_s=0.5)
    try:
        pool.submit(Task(1, 0, "read", [("/a.txt", "file:///a.txt", b"WAIT here.")], 0))
        reply = folders.wait_for(lambda: pool.next(1.0))
        assert (reply.number, reply.why, reply.sure) == (1, "its time is over", True)
    finally:
        pool.close()


def test_one_model_is_loaded_by_a_worker_and_it_has_its_share_of_the_cores(
    misbehaving: Path, quoting: rag.Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = Rules("all-minilm-l6-v2", quoting._embedder.fingerprint, 160, 3, "")
    pool = Processes(1, rules)
    try:
        for number in range(3):
            pool.submit(Task(number, 0, "embed", ["One text.", "Another."], 0))
            reply = folders.wait_for(lambda: pool.next(1.0))
            assert (reply.value == quoting._embedder.passages(["One text.", "Another."])).all()
            if not number:
                (pid,) = pool.pids
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                assert b"OMP_NUM_THREADS=3" in environment
        assert pool.pids == [pid] == folders.said(misbehaving, "model")
        assert pool.sent > 0 and pool.received > 3 * 2 * 384 * 4
    finally:
        pool.close()
    assert not folders.alive(pid)


def test_a_worker_with_another_model_is_told_apart(quoting: rag.Assistant) -> None:
    pool = Processes(1, Rules("all-minilm-l6-v2", "another", 160, 1, ""))
    try:
        pool.submit(Task(1, 0, "embed", ["One text."], 0))
        with pytest.raises(ModelError, match="is another one") as caught:
            folders.wait_for(lambda: pool.next(1.0))
        assert "install the same rag" in caught.value.hint
    finally:
        pool.close()


def test_so_many_workers_cannot_be(tmp_path: Path, folder: Path) -> None:
    with rag.Assistant(tmp_path / "index") as assistant:
        for wrong in ({"workers": 0}, {"workers": 10**6}, {"workers": 2, "cluster": "tcp://127.0.0.1:1"}):
            with pytest.raises(UsageError):
                assistant.add([folder], **wrong)
