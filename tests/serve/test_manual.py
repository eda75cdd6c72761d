"""The manual at /docs: whatever can be copied from it is copied, and run against the server that showed it."""

from __future__ import annotations

import ast
import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rag.serve import DEFAULT_PORT
from rag.serve.manual import PROGRAMS, STEPS
from tests.conftest import ROOT
from tests.serve.conftest import Running

NUMBER = range(len(STEPS) + len(PROGRAMS))


def copied(server: Running) -> list[str]:
    """Everything that the page shows as code, as a browser would copy it."""
    return [html.unescape(code) for code in re.findall(r"<pre>(.*?)</pre>", server.http.get("/docs").text, re.DOTALL)]


def is_python(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return "import" in code


@pytest.mark.parametrize("n", NUMBER)
def test_what_stands_in_the_manual_can_be_copied_and_works(server: Running, tmp_path: Path, n: int) -> None:
    code = copied(server)[n]
    assert server.url in code and "{base}" not in code
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    if is_python(code):
        command = [sys.executable, "-c", code]
    elif code.startswith(("curl", "echo")):
        if shutil.which("curl") is None or shutil.which("bash") is None:
            pytest.skip("there is no curl")
        command = ["bash", "-ec", 'curl() { command curl -sS --fail-with-body --max-time 120 "$@"; }\n' + code]
    else:
        assert code == f"{server.url}/mcp"  # an address; tests/serve/test_mcp.py speaks to it
        return
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=250, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    title = (*STEPS, *PROGRAMS)[n][0]
    assert SHOWN[title] in done.stdout


SHOWN = {
    "Ask": '"outcome":"answered"',
    "Ask, and hear it as it is written": "event: answer",
    "Ask some of the documents only": '"citations"',
    "Search": '"hits"',
    "Bring a document in, and list what is there": '"collection":"notes"',
    "Keep an answer, and check it later": '"intact":true',
    "Any OpenAI client": "[1]",
}


def test_the_manual_has_no_code_that_is_not_run(server: Running) -> None:
    assert len(copied(server)) == len(NUMBER)


def test_the_readmes_commands_are_of_the_manual() -> None:
    shown = re.findall(r"```bash\n(curl .*?)\n```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert shown
    for command in shown:
        assert command.replace(f"http://127.0.0.1:{DEFAULT_PORT}", "{base}") in {code for _, code, _ in STEPS}
