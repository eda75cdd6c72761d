"""A scheduler that dies, freezes or is started again under a running add; a wire that is cut; Ctrl-C in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from spread import folders
from spread.dasks import Wire, added, running

import rag
from rag.errors import ClusterLost
from rag.spread import order

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'rag[dask]'")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed by signals")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some fifty files, over one of which a worker waits for the test."""
    folder = folders.fill(tmp_path_factory.mktemp("documents") / "documents", 40)
    (folder / "deep" / "note20.md").write_text("WAIT here.")
    return folder


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What the plain add reports, and its index."""
    where = tmp_path_factory.mktemp("plain") / "index"
    return added(where, folder), folders.index(where)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small tasks."""
    monkeypatch.setattr(order, "GROUP_FILES", 1)
    monkeypatch.setattr(order, "BATCH", 4)


@contextmanager
def meanwhile(hook: Path, act: Callable[[], None]) -> Iterator[None]:
    """`act` is done in a thread once a worker waits; the worker goes on before it."""

    def wait() -> None:
        folders.wait_for(folders.pid_in(hook))
        (hook / "go").touch()
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.timeout(150)
def test_a_scheduler_killed_and_started_again_loses_nothing_and_doubles_nothing(
    small: None, folder: Path, plain: tuple[Any, Any], tmp_path: Path
) -> None:
    """Its workers end with it. What had no answer is asked once more, not with each answer that comes."""
    hook = tmp_path / "hook"
    with running(tmp_path, 2, **folders.misbehaving(hook, TEST_PAUSE_S="0.05")) as dask:

        def again() -> None:
            dask.end()
            time.sleep(1)  # a client that finds it gone
            dask.scheduler()
            dask.workers(2)

        with meanwhile(hook, again):
            ours = added(tmp_path / "many", folder, cluster=dask.address)
    assert ours == plain[0]
    assert folders.index(tmp_path / "many") == plain[1]
    reads, models = folders.said(hook, "read"), folders.said(hook, "model")
    assert len(set(reads)) > 2, "none of those that came later did anything"
    assert len(reads) <= 2 * len(list(folder.rglob("*.*"))), "files were read again and again"
    assert sorted(models) == sorted(set(models)), "a worker loaded its model twice"


def test_a_wire_that_is_cut_three_times_loses_nothing_and_doubles_nothing(
    small: None, folder: Path, plain: tuple[Any, Any], tmp_path: Path
) -> None:
    """Scheduler and workers live on, and only the asker has lost them."""
    hook = tmp_path / "hook"
    with running(tmp_path, 2, **folders.misbehaving(hook, TEST_PAUSE_S="0.05")) as dask:
        wire = Wire(dask.port)

        def cut() -> None:
            for n in range(1, 4):
                folders.wait_for(lambda n=n: wire.came >= n)
                time.sleep(0.5)
                wire.cut()

        with meanwhile(hook, cut):
            ours = added(tmp_path / "many", folder, cluster=wire.address)
        wire.close()
    assert wire.came > 3
    assert ours == plain[0]
    assert folders.index(tmp_path / "many") == plain[1]


def test_a_scheduler_that_takes_the_connection_and_falls_silent_is_given_up(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hook"
    monkeypatch.setattr("rag.spread.line.SILENT_S", 2.0)
    monkeypatch.setattr("rag.spread.line.CONNECT_S", 1.0)
    with running(tmp_path, 2, **folders.misbehaving(hook)) as dask:
        with (
            meanwhile(hook, lambda: dask.processes[0].send_signal(signal.SIGSTOP)),
            pytest.raises(ClusterLost, match="does not answer"),
        ):
            added(tmp_path / "many", folder, cluster=dask.address)
        dask.processes[0].send_signal(signal.SIGCONT)


@contextmanager
def command(folder: Path, where: Path, address: str, environment: Mapping[str, str]) -> Iterator[Any]:
    """`rag add --cluster`, as on a terminal of its own."""
    line = [sys.executable, "-m", "rag", "add", str(folder), "-i", str(where), "--cluster", address, "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        line, stdout=pipe, stderr=pipe, text=True, start_new_session=True, env=os.environ | environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("what", ["scheduler and workers die", "Ctrl-C", "Ctrl-C while they are gone"])
def test_the_command_ends_with_what_to_do_and_not_a_word_more_and_the_next_one_goes_on(
    what: str, folder: Path, plain: tuple[Any, Any], tmp_path: Path
) -> None:
    hook, where = tmp_path / "hook", tmp_path / "many"
    environment = folders.misbehaving(hook, TEST_CONNECT_S="1")
    with running(tmp_path, 2, **environment) as dask:
        with command(folder, where, dask.address, environment) as process:
            folders.wait_for(folders.pid_in(hook))
            if what != "Ctrl-C":
                dask.end()
            if what == "Ctrl-C while they are gone":
                time.sleep(1.5)
            if what.startswith("Ctrl-C"):
                os.killpg(process.pid, signal.SIGINT)
            began = time.monotonic()
            said, complaint = process.communicate(timeout=60)
        assert time.monotonic() - began < 15
    if what.startswith("Ctrl-C"):
        assert (process.returncode, said) == (130, "")
        assert complaint == "\nrag: stopped; what was acknowledged is kept\n"
    else:
        assert (process.returncode, said) == (8, "")
        first, second = complaint.splitlines()
        assert first == f"rag: the Dask scheduler at {dask.address} does not answer"
        assert second.strip() == "what was stored is kept: run the same command again when it does"
    (hook / "go").touch()
    with running(tmp_path, 1, **environment) as dask, command(folder, where, dask.address, environment) as process:
        report = json.loads(process.communicate(timeout=120)[0])
    assert sorted(report["added"] + report["unchanged"]) == sorted(plain[0][0])
    with rag.Assistant(where, write=True) as assistant:
        assert assistant.check().ok
        assert sorted(row.source.uri for row in assistant.sources()) == sorted(plain[0][0])
