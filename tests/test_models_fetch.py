"""Fetching from a hub that cuts, lies, redirects, ignores ranges, changes its files, is slow: whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import Hub, hub

from rag.errors import ModelDamaged, ModelError, ModelMissing, UsageError
from rag.models import Entry, File, Models
from rag.models import download as module
from rag.models.download import download

DATA = b"GGUF" + random.Random(0).randbytes(100_000)
SHA = hashlib.sha256(DATA).hexdigest()
WHOLE = File(SHA, len(DATA))
GUESS = File("", len(DATA) * 11 // 10)


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with hub() as running:
        running.files["w.gguf"] = DATA
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "m" / "w.gguf"


def get(server: Hub, mode: str, target: Path, known: File = GUESS, **more: object) -> File:
    server.asked.clear()
    url = f"{server.at(mode)}/org/m/resolve/main/w.gguf"
    return download(url, target, known, first_pause_s=0.01, **more)  # type: ignore[arg-type]


def lies_whole(target: Path) -> bool:
    return target.read_bytes() == DATA and sorted(p.name for p in target.parent.iterdir()) == ["w.gguf"]


@pytest.mark.parametrize("mode", ["plain", "noranges", "redirect", "slow", "busy-2"])
def test_a_file_arrives_whole_with_its_hash_and_nothing_beside_it(server: Hub, target: Path, mode: str) -> None:
    assert get(server, mode, target) == WHOLE
    assert lies_whole(target)


def test_a_file_that_is_cut_again_and_again_goes_on_where_it_was(server: Hub, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    assert get(server, "cut-30000", target, progress=lambda here, total: seen.append((here, total))) == WHOLE
    assert lies_whole(target)
    assert [r for _, r, _ in server.asked] == [None, "bytes=30000-", "bytes=60000-", "bytes=90000-"]
    assert seen == sorted(seen) and seen[-1] == (len(DATA), len(DATA))


def test_without_ranges_or_a_tag_it_begins_again_and_gives_up_with_what_it_has(server: Hub, target: Path) -> None:
    with pytest.raises(ModelError, match="bytes are kept"):
        get(server, "noetag", target)
    assert all(asked is None for _, asked, _ in server.asked)
    assert not target.exists()
    assert get(server, "noranges", target) == WHOLE


def test_a_file_that_changes_between_two_parts_is_never_a_mixture(server: Hub, target: Path) -> None:
    with pytest.raises(ModelDamaged, match="begins with"):  # the other file is no GGUF: it is DATA backwards
        get(server, "changed-1", target)
    assert not target.exists()


def test_a_range_that_begins_elsewhere_is_not_joined(server: Hub, target: Path) -> None:
    with pytest.raises(ModelError, match="another range"):
        get(server, "wrongrange-50000", target)
    assert not target.exists()


@pytest.mark.parametrize(
    ("mode", "error", "says"),
    [
        ("html", ModelDamaged, "web page"),
        ("downgrade", ModelDamaged, "web page"),
        ("pointer", ModelDamaged, "LFS pointer"),
        ("404", ModelMissing, "404"),
        ("401", ModelMissing, "HF_TOKEN"),
        ("418", ModelError, "418"),
        ("short", ModelError, "bytes are kept"),
        ("busy-99", ModelError, "503"),
        ("lies", ModelDamaged, "sha256"),
    ],
)
def test_what_is_no_model_is_refused_by_name_and_leaves_no_file(
    server: Hub, target: Path, mode: str, error: type[ModelError], says: str
) -> None:
    known = File("", 100) if mode == "pointer" else GUESS
    with pytest.raises(error, match=says) as caught:
        get(server, mode, target, known)
    assert caught.value.hint
    assert not target.exists()


def test_a_pinned_hash_is_held_even_if_only_one_bit_differs(server: Hub, target: Path) -> None:
    with pytest.raises(ModelDamaged, match="sha256"):
        get(server, "plain", target, File("0" * 64, len(DATA)))
    assert list(target.parent.iterdir()) == []


def test_a_file_of_quite_another_size_is_refused_before_it_is_loaded(server: Hub, target: Path) -> None:
    for known in (File("", 10 * len(DATA)), File("", len(DATA) // 10), File(SHA, len(DATA) + 1)):
        with pytest.raises(ModelDamaged, match="the catalogue says"):
            get(server, "plain", target, known)
        assert not target.exists()


def test_a_silent_server_is_left_and_the_part_is_kept(server: Hub, target: Path) -> None:
    start = time.monotonic()
    with pytest.raises(ModelError, match="ReadTimeout"):
        get(server, "silent", target, timeout_s=0.1)
    assert time.monotonic() - start < 5


def test_a_server_that_is_not_there_is_named(target: Path) -> None:
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9.*ConnectError"):
        download("http://127.0.0.1:9/w.gguf", target, GUESS, first_pause_s=0.01)


def test_a_full_disk_is_said_before_anything_is_written(
    server: Hub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = module.shutil.disk_usage("/")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(ModelError, match=r"needs 0\.07 GB more .* 0\.00 GB are free"):
        get(server, "plain", target)
    assert not target.exists()


def test_the_key_of_the_hub_is_never_sent_in_the_clear(
    server: Hub, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    get(server, "plain", target)
    assert [key for _, _, key in server.asked] == [None]


# --- the keeper ---


@pytest.fixture
def keeper(tmp_path: Path) -> Models:
    models = Models(tmp_path)
    models.catalogue["toy"] = Entry("toy", "llm", "org/toy", "main", "MIT", files={"w.gguf": GUESS})
    return models


def test_what_was_fetched_first_holds_ever_after(server: Hub, keeper: Models, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="rag models fetch toy"):
        keeper.verified(keeper.entry("toy"))
    entry = keeper.fetch("toy", server.at("plain"))
    assert entry.files == {"w.gguf": WHOLE}
    assert json.loads((tmp_path / "files" / "lock.json").read_text()) == {
        "toy": {"w.gguf": {"sha256": SHA, "bytes": len(DATA)}}
    }
    later = Models(tmp_path)._pinned(Entry("toy", "llm", "org/toy", "main", "MIT", files={"w.gguf": GUESS}))
    assert later == entry and keeper.verified(later) == tmp_path / "files" / "toy"
    path = tmp_path / "files" / "toy" / "w.gguf"
    path.write_bytes(DATA[:-1] + b"!")
    with pytest.raises(ModelDamaged, match="rag models fetch toy"):
        keeper.verified(entry)
    keeper.fetch("toy", server.at("plain"))
    assert path.read_bytes() == DATA


def test_what_is_here_whole_is_not_fetched_again(server: Hub, keeper: Models) -> None:
    keeper.fetch("toy", server.at("plain"))
    server.asked.clear()
    keeper.fetch("toy", server.at("plain"))
    assert server.asked == []


def test_other_bytes_than_the_first_are_refused(server: Hub, keeper: Models, tmp_path: Path) -> None:
    keeper.fetch("toy", server.at("plain"))
    (tmp_path / "files" / "toy" / "w.gguf").unlink()
    server.files["w.gguf"] = DATA[:-1] + b"!"
    try:
        with pytest.raises(ModelDamaged, match="sha256"):
            keeper.fetch("toy", server.at("plain"))
    finally:
        server.files["w.gguf"] = DATA


@pytest.mark.parametrize("place", ["org/toy/w.gguf", "toy/w.gguf", "w.gguf"])
@pytest.mark.parametrize("form", ["path", "file"])
def test_a_folder_stands_in_for_the_hub(keeper: Models, tmp_path: Path, place: str, form: str) -> None:
    folder = tmp_path / "a stick"
    (folder / place).parent.mkdir(parents=True)
    (folder / place).write_bytes(DATA)
    keeper.fetch("toy", folder.as_uri() if form == "file" else str(folder))
    assert (tmp_path / "files" / "toy" / "w.gguf").read_bytes() == DATA
    assert (folder / place).read_bytes() == DATA


def test_a_folder_without_the_file_and_a_host_that_is_none_are_said(keeper: Models, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"w\.gguf is not in"):
        keeper.fetch("toy", str(tmp_path))
    for wrong in ("", "ftp://example.org", "no/such/folder", "http://"):
        with pytest.raises(UsageError, match=r"models\.host"):
            keeper.fetch("toy", wrong or "nowhere")


def test_two_cannot_fetch_the_same_model_at_once(server: Hub, keeper: Models) -> None:
    with keeper._alone(keeper.entry("toy")), pytest.raises(ModelError, match="being fetched already"):
        keeper.fetch("toy", server.at("plain"))


FETCH = """
import sys
from pathlib import Path
from rag.models.download import download
from rag.models import File
download(sys.argv[1], Path(sys.argv[2]), File("", 100_000), lambda here, total: print(here, flush=True))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_fetch_that_is_stopped_or_killed_goes_on_where_it_was(server: Hub, target: Path, how: signal.Signals) -> None:
    server.asked.clear()
    url = f"{server.at('slow')}/org/m/resolve/main/w.gguf"
    command = [sys.executable, "-c", FETCH, url, str(target)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    part = target.with_name("w.gguf.part")
    end = time.monotonic() + 60
    while not part.is_file() or part.stat().st_size < 20_000:
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(running.pid, how)
    running.wait(10)
    had = part.stat().st_size
    assert 20_000 <= had < len(DATA) and not target.exists()
    assert download(url, target, GUESS) == WHOLE
    assert server.asked[-1][1] == f"bytes={had}-"
    assert lies_whole(target)
