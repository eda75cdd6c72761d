"""One epoch of everything the reader learns from, by one seed."""

from __future__ import annotations

import json
import random
from pathlib import Path

from claims import claim_groups
from data import Group, Hard, Neighbours, annotated, contexts, groups_of, key, whole


def mix(
    folder: Path, tokenizer_path: Path, seed: int, most: int = 0, edits: float = 0.22, mined: Path | None = None
) -> list[Group]:
    """The groups in random order. `most`: so many annotated questions, those in `mined` (mine.py) first; 0: all."""
    tokenizer, rng = whole(tokenizer_path), random.Random(seed)
    hard = {one["id"]: one for one in map(json.loads, mined.open(encoding="utf-8"))} if mined is not None else {}
    rows = sorted(annotated(folder, rng), key=lambda row: key(row) not in hard)
    rows = rows[:most] if most else rows
    found = contexts(rows, tokenizer)
    near = Neighbours(list(found.values()))
    made = list[Group]()
    for row in rows:
        one = hard.get(key(row), {})
        known = Hard(found.get(one.get("passage") or ""), one.get("edit"))
        made += groups_of(row, found[row["context"]], near, tokenizer, rng, edits, known)
    if (claims := folder.parent / "retrieval" / "scifact").exists():
        made += claim_groups(claims, tokenizer, rng)
    rng.shuffle(made)
    return made
