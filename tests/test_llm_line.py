"""The line before a model: order, places, and a plain no when it is full."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from rag.errors import Busy
from rag.llm.line import MOST_WAITING, Line


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def watch(line: Line, who: object) -> tuple[list[int], threading.Thread]:
    """Writes down the places of `who` as they change."""
    seen: list[int] = []

    def look() -> None:
        for place in line.before(who):
            seen.append(place)
        seen.append(0)

    thread = threading.Thread(target=look)
    thread.start()
    until(lambda: bool(seen))
    return seen, thread


def test_the_first_need_not_wait() -> None:
    line = Line()
    line.join("a")
    assert list(line.before("a")) == []


def test_each_hears_of_every_step_forward_and_of_its_turn() -> None:
    line = Line()
    for who in "abcd":
        line.join(who)
    seen, thread = watch(line, "d")
    for who, left in (("a", 2), ("c", 1), ("b", 0)):
        line.leave(who)
        until(lambda left=left: seen[-1] == left)  # type: ignore[misc]
    thread.join(5)
    assert seen == [3, 2, 1, 0]


def test_who_leaves_is_no_longer_told_and_those_before_it_do_not_move() -> None:
    line = Line()
    for who in "abc":
        line.join(who)
    seen_b, thread_b = watch(line, "b")
    seen_c, thread_c = watch(line, "c")
    line.leave("c")
    thread_c.join(5)
    assert (seen_c, seen_b, len(line)) == ([2, 0], [1], 2)
    line.leave("a")
    thread_b.join(5)
    line.leave("stranger")
    assert len(line) == 1


def test_who_comes_when_eight_wait_is_told_so_at_once_with_a_time() -> None:
    line = Line()
    for who in range(1 + MOST_WAITING):
        line.join(who)
    start = time.monotonic()
    with pytest.raises(Busy, match=f"{MOST_WAITING} wait") as caught:
        line.join("one too many")
    assert time.monotonic() - start < 0.2
    assert caught.value.retry_s >= 1 and f"{caught.value.retry_s} s" in caught.value.hint
    line.leave(3)
    line.check()
    line.join("the next")


def test_the_time_to_ask_again_follows_the_turns_that_were_measured() -> None:
    def told(turn_s: float) -> int:
        line = Line(most_waiting=0)
        for turn in range(20):
            line.join(turn)
            line._began -= turn_s  # as if it had taken so long
            line.leave(turn)
        line.join("now")
        with pytest.raises(Busy) as caught:
            line.check()
        return caught.value.retry_s

    assert told(0.01) == 1
    assert told(30.0) == 30
