"""The one command behind the README's quality figures: it names each of the table, and reads what they print."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rag.evals import figures, load
from rag.evals.figures import STEPS, Step, added, cell, last, run
from rag.evals.report import measured
from tests.evals.test_report import record

README = Path(__file__).resolve().parents[2] / "README.md"
SAYS = "print('3 kills (add): all well'); print('4 kills (remove): all well'); print('right: 94.6%')"


def step(tmp_path: Path, program: str) -> Step:
    (tmp_path / "said.py").write_text(program)
    return Step("said", "said", {"kills": added(r"^(\d+) kills"), "right": last(r"right: (\S+)")})


def test_every_command_of_the_readmes_table_is_run() -> None:
    part = README.read_text("utf-8").split("## Figures")[1].split("\n## ")[0]
    commands = [m[1] for m in re.finditer(r"\| `([^`]+)` \|$", part, re.MULTILINE) if not m[1].startswith("make ")]
    assert len(commands) > 5
    run_here = [" ".join(s.command(Path("DATA"), Path("OUT"))[2:]) for s in STEPS]
    for command in commands:
        words = command.removeprefix("RAG_FAULTS=long ").removeprefix("python -m ").split()
        words = [w for w in words if w not in ("FILE", "FOLDER")]
        assert any(all(w in said.split() for w in words) for said in run_here), command


def test_what_a_command_prints_is_read_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    one = step(tmp_path, SAYS)
    text = run(one, tmp_path, tmp_path)
    assert {name: read(text) for name, read in one.rows.items()} == {"kills": "7", "right": "94.6%"}
    (tmp_path / "said.py").write_text("raise SystemExit(1)")
    assert run(one, tmp_path, tmp_path) == text, "what was kept is not run again"


def test_a_command_that_fails_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        run(step(tmp_path, f"{SAYS}; raise SystemExit(3)"), tmp_path, tmp_path)
    assert not (tmp_path / "said.txt").exists()


def test_cells_of_the_evaluations_table() -> None:
    text = "name\n                       gold             full\nshort answer: F1      78.9 (73 to 84)  -\n"
    assert cell("short answer: F1", 0)(text) == "78.9 (73 to 84)"
    assert cell("short answer: F1", 1)(text) == "-"
    assert cell("absent", 0)(text) == "not printed"


def test_what_a_step_reads_is_made_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    (tmp_path / "first.py").write_text("import sys; open(sys.argv[1], 'w').write('right: 7')")
    (tmp_path / "said.py").write_text("import sys; print(open(sys.argv[1]).read())")
    one = Step("two", "said {out}.txt.in", {"right": last(r"right: (\S+)")}, before="first.py {out}.txt.in")
    assert one.rows["right"](run(one, tmp_path, tmp_path)) == "7"


def test_every_row_of_a_step_is_in_what_its_evaluation_prints() -> None:
    """The rows of `rag eval` by the names that the report gives them: a row that is renamed is not silently lost."""
    rows = set(measured([record(given=dict.fromkeys(("strict", "balanced", "lenient"), True), naive=True, said=True,
                                condition=condition, id=f"{condition}{kind}", answerable=not kind, off_topic=kind == 2)
                         for condition in ("gold", "full") for kind in (0, 1, 2)])["full"])  # fmt: skip
    text = "\n".join(["name", "  gold  full", *(f"{row}  1.0 (0 to 1)  2.0 (0 to 1)" for row in rows)])
    for step in STEPS:
        if step.arguments.startswith("rag eval"):
            assert not [name for name, read in step.rows.items() if "not printed" in read(text)], step.name


def test_every_row_of_the_load_is_in_what_its_measurement_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for `rag.evals.load`, whose rounds see nothing here."""

    async def nothing(*_: object) -> load.Seen:
        return load.Seen()

    async def at_once(*_: object, **__: object) -> None:
        """Who leaves comes too late."""

    for name in ("ask", "askers", "reading", "soak"):
        monkeypatch.setattr(load, name, nothing)
    for name in ("leave", "_inside"):
        monkeypatch.setattr(load, name, at_once)
    for name in ("workers", "tree"):
        monkeypatch.setattr(load, name, lambda _: set())
    monkeypatch.setattr(load, "megabytes", lambda _: 1.0)
    monkeypatch.setattr(load, "SETTLE_S", 0.0)
    with subprocess.Popen([sys.executable, "-c", ""], text=True) as process:
        checks = asyncio.run(load.measure("http://127.0.0.1:9", process, 10))
    text = "\n".join(map(str, checks))
    (rows,) = (step.rows for step in STEPS if step.name == "load")
    assert not [name for name, read in rows.items() if "not printed" in read(text)], text


def test_the_command_teaches() -> None:
    said = subprocess.run([sys.executable, "-m", "rag.evals.figures", "--help"], capture_output=True, text=True)
    assert said.returncode == 0 and "--only" in said.stdout
