"""What the README says, run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def of(kind: str) -> list[str]:
    return [text for name, text in BLOCKS if name == kind]


@pytest.mark.slow
def test_the_python_examples_run_as_they_stand() -> None:
    assert of("python")
    for code in of("python"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, done.stderr
        assert "Outcome.ANSWERED" in done.stdout or "answered" in done.stdout
        for name in ("Found", "Quoted", "Wrote", "Answer"):
            assert name in done.stdout.split("\n")


@pytest.mark.slow
def test_the_commands_run_and_print_what_stands_below_them(tmp_path: Path) -> None:
    lines = [line for block in of("console") for line in block.splitlines()]
    assert lines
    env = os.environ | {"RAG_INDEX_FOLDER": str(tmp_path / "index")}
    said = ""
    for line in lines:
        if line.startswith("$ "):
            program, *args = shlex.split(line[2:])
            assert program == "rag"
            done = subprocess.run(
                [sys.executable, "-m", "rag", *args], capture_output=True, text=True, cwd=ROOT, env=env, check=False
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
            said = done.stdout
        else:
            assert line in said, f"{line!r} is not in {said!r}"


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"\bmake ([\w-]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_leads_to_a_file() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / link).exists(), link


def test_every_setting_that_is_named_exists() -> None:
    from rag.config import settings

    known = {key for key, _, _ in settings()}
    assert set(re.findall(r"--set (\w+\.\w+)", README)) <= known


def test_the_commands_behind_the_figures_exist() -> None:
    for module in re.findall(r"python -m (rag\.evals\.\w+)", README):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module
