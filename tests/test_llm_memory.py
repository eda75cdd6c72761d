"""What a container leaves of the memory: its limit without what is in use, files in its cache counted as free."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.llm.gguf import _left_of_limit


@pytest.mark.parametrize(
    ("limit", "used", "stat", "left"),
    [
        ("1000", "300", "anon 100\ninactive_file 50\n", 750),
        ("1000", "1200", "inactive_file 0\n", 0),
        ("1000", "300", "", 700),
        ("max", "300", "inactive_file 50\n", None),
        ("1000", None, "inactive_file 50\n", None),
    ],
)
def test_what_is_used_is_not_free(tmp_path: Path, limit: str, used: str | None, stat: str, left: int | None) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.stat").write_text(stat)
    if used is not None:
        (tmp_path / "memory.current").write_text(f"{used}\n")
    assert _left_of_limit(tmp_path) == left
