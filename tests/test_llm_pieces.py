"""The cutter of drafts: whole characters, and nothing of a stop string."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.llm.pieces import Pieces


def cut(data: bytes, sizes: list[int], stop: list[str]) -> list[str]:
    """`data` in parts of these sizes, round and round, through a cutter."""
    pieces, shown, at, turn = Pieces(stop), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        shown.append(pieces.add(data[at : at + size]))
        at, turn = at + size, turn + 1
    return [*shown, pieces.rest()]


sizes = st.lists(st.integers(1, 5), min_size=1, max_size=6)


@given(text=st.text(max_size=60), sizes=sizes)
def test_joined_pieces_are_the_text_however_its_bytes_come(text: str, sizes: list[int]) -> None:
    assert "".join(cut(text.encode(), sizes, [])) == text


@given(text=st.text("abc", max_size=40), stop=st.lists(st.text("abc", min_size=1, max_size=4), max_size=3), sizes=sizes)
def test_joined_pieces_end_before_the_first_stop_string(text: str, stop: list[str], sizes: list[int]) -> None:
    shown = "".join(cut(text.encode(), sizes, stop))
    ends = [text.find(s) for s in stop if s in text]
    # Which of several stop strings is whole first depends on how the bytes come; none is ever shown whole.
    assert text.startswith(shown)
    assert not any(s in shown for s in stop)
    assert len(shown) >= min(ends, default=len(text))


@given(text=st.text("abc", max_size=40), stop=st.text("abc", min_size=1, max_size=4), sizes=sizes)
def test_with_one_stop_string_the_end_is_exact(text: str, stop: str, sizes: list[int]) -> None:
    assert "".join(cut(text.encode(), sizes, [stop])) == text.split(stop)[0]


def test_a_character_is_shown_when_its_last_byte_has_come() -> None:
    pieces = Pieces()
    assert [pieces.add(bytes([b])) for b in "😀".encode()] == ["", "", "", "😀"]


def test_half_a_character_at_the_end_is_left_out_and_bad_bytes_are_marked() -> None:
    assert "".join(cut(b"ab\xf0\x9f", [1], [])) == "ab"
    assert "".join(cut(b"a\xffb", [1], [])) == "a�b"
