"""The command line: what it prints, and how it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from rag.cli import questions
from rag.types import Answer, Event, Outcome, Waits

ROOT = Path(__file__).resolve().parent.parent


def rag(*args: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"RAG_LLM_MODEL": "none", "PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-m", "rag", *args]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=120, check=False)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("cli") / "index")
    done = rag("add", "seeds/", "--index", folder)
    assert done.returncode == 0, done.stderr
    assert "2 added" in done.stdout
    return folder


def test_adding_again_finds_nothing_changed(index: str) -> None:
    assert "2 unchanged" in rag("add", "seeds/", "--index", index).stdout


def test_an_answer_on_the_terminal_shows_the_quote_and_its_place(index: str) -> None:
    done = rag("ask", "How many cherry trees will Japan give?", "--index", index)
    assert done.returncode == 0, done.stderr
    assert "250 cherry blossom trees" in done.stdout
    assert "[1] 001_6b10a84c2a205f2b.txt, line" in done.stdout


def test_an_answer_as_json_has_citations_that_are_the_characters_of_the_file(index: str) -> None:
    answer = json.loads(rag("ask", "How many cherry trees will Japan give?", "--json", "--index", index).stdout)
    assert answer["outcome"] == "answered"
    for citation in answer["citations"]:
        text = (ROOT / "seeds" / Path(citation["source"]["uri"]).name).read_text("utf-8")
        assert text[citation["span"]["start"] : citation["span"]["end"]] == citation["quote"]
    assert {"prompt", "draft", "fingerprints", "seconds"} <= set(answer["trace"])


def test_a_place_in_the_line_is_said_beside_the_answer_not_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Busy:
        def filter(self, **_: object) -> None:
            return None

        def stream(self, question: str, **_: object) -> Iterator[Event]:
            yield from (Waits(2), Waits(1), Answer(question, "Nothing was found.", (), (), Outcome.NOTHING))

    monkeypatch.setattr(questions, "opened", lambda *_, **__: nullcontext(Busy()))
    questions.ask("Who waits?")
    said = capsys.readouterr()
    assert said.err == "waiting: 2 before this one\nwaiting: 1 before this one\n"
    assert "waiting" not in said.out and "Nothing was found." in said.out


def test_search_prints_passages_best_first(index: str) -> None:
    hits = json.loads(rag("search", "tariffs", "-k", "3", "--json", "--index", index).stdout)
    assert len(hits) == 3
    assert [h["score"] for h in hits] == sorted((h["score"] for h in hits), reverse=True)
    assert "tariff" in hits[0]["passage"]["text"]


def test_show_prints_the_very_text(index: str) -> None:
    assert "2 documents" not in rag("show", "--index", index).stdout
    text = (ROOT / "seeds" / "001_6b10a84c2a205f2b.txt").read_text("utf-8")
    assert rag("show", "001_6b10a84c2a205f2b.txt", "--index", index).stdout == text + "\n"
    assert rag("show", "001_6b10a84c2a205f2b.txt", "--at", "0:9", "--index", index).stdout == text[:9] + "\n"


def test_check_finds_a_sound_index(index: str) -> None:
    assert json.loads(rag("check", "--json", "--index", index).stdout)["problems"] == []


def test_a_removed_document_is_gone_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The code word is heliotrope.")
    (tmp_path / "b.txt").write_text("Nothing to see.")
    rag("add", str(tmp_path / "a.txt"), str(tmp_path / "b.txt"), "--index", str(tmp_path / "i"))
    assert "heliotrope" in rag("search", "code word", "--index", str(tmp_path / "i")).stdout
    assert rag("remove", "a.txt", "--index", str(tmp_path / "i")).returncode == 0
    assert "heliotrope" not in rag("search", "code word", "--index", str(tmp_path / "i")).stdout


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("A good text.")
    (tmp_path / "empty.txt").write_text("")
    done = rag("add", str(tmp_path), "--index", str(tmp_path / "i"))
    assert done.returncode == 0
    assert "1 added" in done.stdout
    assert "empty.txt holds no text" in done.stderr


FAILURES = [
    (["ask", "x?", "--index", "nowhere"], 4, "rag add"),
    (["ask", "", "--index", "INDEX"], 2, "ask in words"),
    (["ask", "x?", "--set", "llm.modle=1", "--index", "INDEX"], 2, "llm.model"),
    (["ask", "x?", "--set", "nonsense", "--index", "INDEX"], 2, "--set"),
    (["ask", "x?", "--set", "llm.window=0", "--index", "INDEX"], 2, "256"),
    (["ask", "x?", "--set", "embed.model=all-minilm-l6", "--index", "INDEX"], 5, "all-minilm-l6-v2"),
    (["add", "no-such-file.txt", "--index", "INDEX"], 3, "no-such-file.txt"),
    (["remove", "no-such", "--index", "INDEX"], 2, "rag show"),
    (["show", "--at", "9-3", "001_6b10a84c2a205f2b.txt", "--index", "INDEX"], 2, "--at"),
    (["chat", "--host", "0.0.0.0", "--index", "INDEX"], 2, "password"),
    (["frobnicate"], 2, "frobnicate"),
]


@pytest.mark.parametrize(("args", "code", "says"), FAILURES, ids=[" ".join(a[:4]) for a, _, _ in FAILURES])
def test_a_failure_is_one_sentence_with_its_cure_and_a_stable_code(
    index: str, args: list[str], code: int, says: str
) -> None:
    done = rag(*[index if a == "INDEX" else a for a in args])
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_help_teaches_with_an_example() -> None:
    for command in ("add", "ask", "search"):
        assert "Example: rag " in rag(command, "--help").stdout


def test_settings_show_where_a_value_comes_from_the_environment() -> None:
    assert json.loads(rag("settings", "--json", RAG_RETRIEVE_K="17").stdout)["retrieve.k"] == 17


def test_models_are_whole() -> None:
    rows = json.loads(rag("models", "check", "--json").stdout)
    assert rows["all-minilm-l6-v2"] == rows["smollm2-135m-instruct"] == "whole"


@pytest.mark.slow
def test_ctrl_c_while_adding_leaves_an_index_that_goes_on(tmp_path: Path) -> None:
    for n in range(400):
        (tmp_path / f"{n:03}.txt").write_text(f"Document {n}. " + "It has a few sentences of its own. " * 4)
    command = [sys.executable, "-m", "rag", "add", str(tmp_path), "--index", str(tmp_path / "i")]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "i" / "FORMAT").exists():
        time.sleep(0.05)
    time.sleep(0.7)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "Traceback" not in said
    kept = len(json.loads(rag("show", "--json", "--index", str(tmp_path / "i")).stdout))
    assert 0 < kept < 400
    done = rag("add", str(tmp_path), "--index", str(tmp_path / "i"))
    assert f"{400 - kept} added, {kept} unchanged" in done.stdout


def test_help_lists_the_commands_in_the_order_of_a_first_day() -> None:
    listed = rag("--help").stdout
    places = [listed.index(f"\n  {name} ") for name in ("add", "ask", "search", "chat", "check", "settings")]
    assert places == sorted(places)
