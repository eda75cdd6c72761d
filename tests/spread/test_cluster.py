"""A Dask cluster of three worker processes on 127.0.0.1, with TLS and without: a worker killed, the scheduler lost."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from certificates import certificates
from spread import folders
from spread.dasks import added, running

import rag
from rag.errors import ClusterLost, UsageError

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'rag[dask]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = folders.fill(tmp_path_factory.mktemp("documents") / "documents", 6)
    (folder / "wait.txt").write_text("WAIT here.")  # its worker waits there to be killed, where one misbehaves
    return folder


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What the plain add reports, and its index."""
    where = tmp_path_factory.mktemp("plain") / "index"
    return added(where, folder), folders.index(where)


def test_one_of_three_workers_killed_at_work_changes_nothing(
    folder: Path, plain: tuple[Any, Any], tmp_path: Path
) -> None:
    hook = tmp_path / "hook"
    with running(tmp_path, 3, **folders.misbehaving(hook)) as dask:

        def kill() -> None:
            os.kill(folders.wait_for(folders.pid_in(hook)), signal.SIGKILL)
            (hook / "go").touch()  # whoever is given its file next does not wait

        killer = threading.Thread(target=kill)
        killer.start()
        ours = added(tmp_path / "many", folder, cluster=dask.address)
        killer.join()
    assert ours == plain[0]
    assert folders.index(tmp_path / "many") == plain[1]


def test_by_tls_a_file_that_kills_workers_is_refused_and_a_scheduler_that_stays_away_ends_the_add_in_order(
    folder: Path, plain: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, tls = tmp_path / "hook", certificates(tmp_path)
    settings = {f"cluster.tls_{name}": str(path) for name, path in tls.items()}
    (tmp_path / "bad.txt").write_text("KILL it.")
    one_death = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with running(tmp_path, 3, tls, **folders.misbehaving(hook), **one_death) as dask:
        bad = added(
            tmp_path / "many", tmp_path / "bad.txt", folder / "copy.txt", settings=settings, cluster=dask.address
        )
        assert bad[0] == ((folder / "copy.txt").as_uri(),)
        ((_, reason),) = bad[4]
        assert (
            reason == f"{tmp_path / 'bad.txt'}: it broke the process that works on it (1 workers of the cluster died)"
        )

        def kill() -> None:
            folders.wait_for(folders.pid_in(hook))
            dask.end()

        killer = threading.Thread(target=kill)
        killer.start()
        monkeypatch.setattr("rag.spread.line.CONNECT_S", 0.5)
        with pytest.raises(ClusterLost, match="does not answer") as caught:
            added(tmp_path / "many", folder, settings=settings, cluster=dask.address)
        killer.join()
    assert "run the same command again" in caught.value.hint
    added(tmp_path / "many", folder)  # the next run goes on
    with rag.Assistant(tmp_path / "many") as assistant:
        assert [row.source.uri for row in assistant.sources()] == sorted(plain[0][0])


def test_an_address_that_cannot_be_is_told_before_anything_is_read(folder: Path, tmp_path: Path) -> None:
    with rag.Assistant(tmp_path / "index") as assistant:
        for wrong, hint in {
            "127.0.0.1:8786": "tcp://127.0.0.1:8786",
            "http://127.0.0.1:8786": "tcp://",
            "tcp://127.0.0.1": "8786",
            "tls://127.0.0.1:8786": "cluster.tls_ca",
        }.items():
            with pytest.raises(UsageError) as caught:
                assistant.add([folder], cluster=wrong)
            assert hint in caught.value.hint


def test_a_cluster_that_is_not_there_is_told_with_what_to_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.spread.line.CONNECT_S", 0.5)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nowhere = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    with rag.Assistant(tmp_path / "index") as assistant, pytest.raises(ClusterLost, match=nowhere):
        assistant.add([folder], cluster=nowhere)
