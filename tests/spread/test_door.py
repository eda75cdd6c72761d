"""What is said where Dask is missing, and where a network is not protected."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import rag
from rag.errors import UsageError
from rag.spread import _open_wire


def test_where_dask_is_missing_it_is_said_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with rag.Assistant(tmp_path / "index") as assistant, pytest.raises(UsageError) as caught:
        assistant.add([tmp_path], cluster="tcp://127.0.0.1:8786")
    assert caught.value.hint == 'pip install "rag[dask]"'


def test_the_report_says_when_documents_went_over_an_open_network() -> None:
    assert _open_wire("tcp://10.0.0.7:8786")[0][0] == "tcp://10.0.0.7:8786"
    assert "tls://" in _open_wire("tcp://10.0.0.7:8786")[0][1]
    for quiet in ("tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786", "tls://10.0.0.7:8786"):
        assert _open_wire(quiet) == ()
