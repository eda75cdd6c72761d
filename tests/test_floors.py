"""The laws of the street: imports point down, each heavy library has one address, importing rag loads none."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = (
    ("types", "filters", "errors"),
    ("clock", "config", "text", "files", "web", "plain", "runtime"),
    (
        "load",
        "split",
        "embed",
        "vectors",
        "lexical",
        "fuse",
        "read",
        "prompt",
        "llm",
        "cite",
        "judge",
        "kinds",
        "standing",
        "tree",
        "suggest",
        "cells",
    ),
    ("models", "index", "conversation", "receipt", "values", "dates"),
    ("retrieve", "rerank", "add", "spread", "watch", "gate", "lack", "weigh", "compare", "answer", "another"),
    ("library",),
    ("assistant",),
    ("asynchronous", "adapters"),
    ("serve", "chat", "evals"),
    ("cli", "__init__"),
    ("__main__",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Rooms of floor 4 are two halves of one story: the second may take from the first.
MAY_ALSO = {
    ("watch", "add"),
    ("spread", "add"),
    ("answer", "retrieve"),
    ("answer", "gate"),
    ("answer", "weigh"),
    ("answer", "lack"),
    ("answer", "compare"),
}
ADDRESS = {
    "sentence_transformers": {"embed"},
    "onnxruntime": {"embed", "runtime"},
    "tokenizers": {"embed", "read"},
    "onnx": {"embed", "runtime"},
    "safetensors": {"embed"},
    "torch": {"embed"},
    "faiss": {"vectors"},
    "llama_cpp": {"llm"},
    "gradio": {"chat"},
    "uvicorn": {"chat", "serve"},
    "fastapi": {"chat", "serve"},
    "starlette": {"chat", "serve"},
    "mcp": {"serve"},
    "langchain_core": {"adapters"},
    "llama_index": {"adapters"},
    "haystack": {"adapters"},
    "sqlite3": {"index", "lexical"},
    "typer": {"cli"},
    "tomlkit": {"models"},
    "bs4": {"load"},
    "lxml": {"load"},
    "docx": {"load"},
    "pptx": {"load"},
    "openpyxl": {"load"},
    "striprtf": {"load"},
    "pypdfium2": {"load"},
    "snowballstemmer": {"text"},
    "pathspec": {"tree"},
    "watchfiles": {"watch"},
    "distributed": {"spread"},
    "dask": {"spread"},
    "pymilvus": {"index"},
    "milvus_lite": {"index"},
}
FILES = sorted((ROOT / "rag").rglob("*.py"))


def room_of(path: Path) -> str:
    inside = path.relative_to(ROOT / "rag")
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every imported module of a file, with whether it is imported for types only."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in typing_only) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: say the whole name, not a relative import"
            found += [(node.module or "", id(node) in typing_only)]
            if node.module == "rag":
                found += [(f"rag.{alias.name}", id(node) in typing_only) for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down_and_rooms_of_one_floor_do_not_know_each_other(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR_OF, f"{room} stands on no floor: give it one in tests/test_floors.py"
    for module, typing_only in imports(path):
        parts = module.split(".")
        if parts[0] != "rag" or len(parts) < 2 or parts[1] not in FLOOR_OF or parts[1] == room:
            continue
        below = FLOOR_OF[parts[1]] < FLOOR_OF[room] or (room, parts[1]) in MAY_ALSO
        assert below, f"{path.name} ({room}) imports {module}, which does not lie below it (types only: {typing_only})"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_each_heavy_library_has_one_address(path: Path) -> None:
    for module, _ in imports(path):
        home = ADDRESS.get(module.split(".")[0])
        assert home is None or room_of(path) in home, f"{path.name} imports {module}: its address is {home}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_imports_the_folders_index_or_models_of_the_root(path: Path) -> None:
    assert not {m.split(".")[0] for m, _ in imports(path)} & {"models", "index"}


def test_importing_rag_loads_no_heavy_library() -> None:
    code = "import sys, rag; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    for library in [*ADDRESS, "numpy", "rich", "gradio", "markdown_it"]:
        assert f"'{library}'" not in loaded, f"import rag loads {library}"


def test_every_file_of_the_package_tells_the_traveller_where_they_are() -> None:
    silent = [str(p.relative_to(ROOT)) for p in FILES if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    assert silent == []


def test_no_file_is_a_street_of_its_own() -> None:
    lengths = {str(p.relative_to(ROOT)): len(p.read_text("utf-8").splitlines()) for p in FILES}
    assert {name: n for name, n in lengths.items() if n > 420} == {}


def test_no_function_is_longer_than_sixty_lines() -> None:
    long = [
        f"{path.name}:{node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= 60
    ]
    assert long == []
