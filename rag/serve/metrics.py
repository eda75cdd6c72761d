"""What the door counts, in Prometheus' text format: how many, how long, how many at once. Never what was asked."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Times:
    """Seconds, sorted into buckets; `counts` has one more for what is over the last."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total_s: float = 0.0


class Metrics:
    """Counters and times by route, gauges at the moment. Used from the event loop only."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()  # by method, route, status
        self.refusals: Counter[str] = Counter()  # by reason
        self.outcomes: Counter[str] = Counter()  # of answers
        self.inside = 0  # answers on their way, waiting ones included
        self._seconds: dict[str, _Times] = {}

    def timed(self, route: str, seconds: float) -> None:
        """One more request to `route`, which took so long."""
        times = self._seconds.setdefault(route, _Times())
        times.counts[bisect_left(BUCKETS_S, seconds)] += 1
        times.total_s += seconds

    def text(self) -> str:
        """All of it, as a scraper reads it."""
        lines = _head("rag_requests_total", "counter", "Requests that were answered, or given up (499).")
        for (method, route, status), n in sorted(self.requests.items()):
            lines.append(_line("rag_requests_total", (("method", method), ("route", route), ("status", status)), n))
        lines += _head("rag_refusals_total", "counter", "Requests that were turned away, cut off or failed, by reason.")
        lines += [_line("rag_refusals_total", (("reason", why),), n) for why, n in sorted(self.refusals.items())]
        lines += _head("rag_answers_total", "counter", "Answers that were given to the end, by outcome.")
        lines += [_line("rag_answers_total", (("outcome", how),), n) for how, n in sorted(self.outcomes.items())]
        lines += _head("rag_answers_inside", "gauge", "Answers on their way now, those that wait included.")
        lines.append(_line("rag_answers_inside", (), self.inside))
        lines += _head("rag_request_seconds", "histogram", "Seconds from a request's head to the end of its reply.")
        for route, times in sorted(self._seconds.items()):
            lines += _histogram("rag_request_seconds", (("route", route),), times)
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, told: str) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]


def _histogram(name: str, labels: Labels, times: _Times) -> list[str]:
    lines, below = [], 0
    for edge, count in zip((*map(str, BUCKETS_S), "+Inf"), times.counts, strict=True):
        below += count
        lines.append(_line(f"{name}_bucket", (*labels, ("le", edge)), below))
    return [*lines, _line(f"{name}_sum", labels, times.total_s), _line(f"{name}_count", labels, below)]


def _line(name: str, labels: Labels, value: float) -> str:
    """One sample.

    >>> _line("seen", (("what", 'a "b"'),), 2)
    'seen{what="a \\\\"b\\\\""} 2'
    """
    quoted = (v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for _, v in labels)
    inside = ",".join(f'{k}="{v}"' for (k, _), v in zip(labels, quoted, strict=True))
    return f"{name}{{{inside}}} {value}" if labels else f"{name} {value}"
