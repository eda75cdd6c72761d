"""The switches of the tests themselves, such as RAG_FUZZ=long: read by them, and never by the house."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rag.config import Config
from tests.conftest import ROOT, SWITCHES


def test_the_environment_of_a_test_holds_settings_alone() -> None:
    assert not os.environ.keys() & set(SWITCHES)
    Config.load()


def test_every_switch_can_be_set() -> None:
    one = f"{Path(__file__).relative_to(ROOT)}::{test_the_environment_of_a_test_holds_settings_alone.__name__}"
    environment = os.environ | dict.fromkeys(SWITCHES, "long")
    command = [sys.executable, "-m", "pytest", "-q", one]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_switch_is_known() -> None:
    read = (re.findall(r'environ\.get\("(RAG_\w+)"\)', p.read_text("utf-8")) for p in ROOT.glob("tests/**/*.py"))
    assert {name for names in read for name in names} == set(SWITCHES)
