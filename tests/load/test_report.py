"""What `add` tells of the files it read: what was left out of each, what was refused, and that the others went on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from load.make import every_kind, pdf, write, zipped

from rag.add import Adder
from rag.embed import Vectors
from rag.index import Index


class Flat:
    """An embedder that finds everything alike."""

    name = fingerprint = "flat"
    dim, window = 4, 64

    def passages(self, texts: Sequence[str]) -> Vectors:
        return np.full((len(texts), 4), 0.5, np.float32)

    questions = passages

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(t.split()) for t in texts]


def test_a_folder_with_bombs_scans_and_lies_is_read_to_its_end_and_each_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, data in every_kind().items():
        write(folder, name, data)
    write(folder, "b-bomb.docx", zipped({"word/document.xml": b" " * 60_000_000}))
    write(folder, "b-lie.pdf", "hello")
    write(folder, "b-scan.pdf", pdf("", ""))
    write(folder, "z.html", "<p>last<p hidden>secret")
    with Index.open(tmp_path / "index", embedder="flat", dim=4) as index:
        report = Adder(index, Flat(), 64).add([folder])
        stored = {row.source.uri.rsplit("/", 1)[-1]: row for row in index.sources()}
    refused = {uri.rsplit("/", 1)[-1]: why for uri, why in report.refused}
    assert sorted(stored) == sorted([*every_kind(), "z.html"])
    assert sorted(refused) == ["b-bomb.docx", "b-lie.pdf", "b-scan.pdf"]
    assert "OCR" in refused["b-scan.pdf"]
    notes = {uri.rsplit("/", 1)[-1]: note for uri, note in report.notes}
    assert notes["z.html"] == "characters of hidden text: 6"
    assert "hidden rows: 1; hidden sheets: 1" in notes["a.xlsx"]
    assert stored["a.eml"].dated == "2024-03-02"


def test_a_sheet_of_thousands_of_rows_is_split_and_stored_within_seconds(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "name,n\n" + "".join(f"Anna {i},{i}\n" for i in range(5_000)))
    with Index.open(tmp_path / "index", embedder="flat", dim=4) as index:
        report = Adder(index, Flat(), 64).add([path])
    assert report.passages == 5_001
    assert report.seconds < 60
