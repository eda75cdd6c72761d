"""A GGUF file in, what it says of itself out, read before llama.cpp ever opens the file.

Catches what llama.cpp answers with an abort or with a riddle: a missing file, a folder, a web page or a pointer saved
under the model's name, a file cut short. Also the size of its memory, so that a model too big for the machine is
refused and not swapped. Format: github.com/ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rag.errors import ModelDamaged, ModelError, ModelMissing

_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9
_MOST = 1 << 26  # bytes of one text, items of one array: far over any real model, far under the memory
_BASE = 160 << 20  # bytes: Python, the library, its compute buffers

Value = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Header:
    """What a model file says of itself; arrays are left out."""

    path: Path
    bytes: int
    values: Mapping[str, Value]

    def number(self, key: str, absent: int) -> int:
        """The architecture's number of that name: 'context_length' is looked up as 'llama.context_length'."""
        value = self.values.get(f"{self.values.get('general.architecture', '')}.{key}", absent)
        return value if isinstance(value, int) else absent

    @property
    def trained_window(self) -> int | None:
        """Tokens that the model was trained to see at once; None if the file does not say."""
        return self.number("context_length", 0) or None

    @property
    def chat_template(self) -> str:
        """The template inside the file: text to look at, never to run."""
        return str(self.values.get("tokenizer.chat_template", ""))

    def memory(self, window: int) -> int:
        """Bytes that running it takes: the weights, 16-bit keys and values of `window` tokens, and a base."""
        heads = self.number("attention.head_count", 32)
        width = self.number("embedding_length", 4096) // max(heads, 1)
        keys = self.number("attention.key_length", width) + self.number("attention.value_length", width)
        per_token = self.number("block_count", 32) * self.number("attention.head_count_kv", heads) * keys * 2
        return self.bytes + window * per_token + _BASE


def read_header(path: Path, vocabulary: bool = True) -> Header:
    """The header of `path`; without `vocabulary`, only what stands before it (0.1 s less, no chat template).

    Raises ModelMissing, or ModelDamaged for anything that is no GGUF file with a whole header."""
    if not path.exists():
        raise ModelMissing(f"there is no model file {path}", "rag models list")
    if not path.is_file():
        raise ModelDamaged(f"{path} is not a file", "give the .gguf file itself")
    size = path.stat().st_size
    with path.open("rb") as f:
        start = f.read(4)
        if start != b"GGUF":
            raise ModelDamaged(f"{path} is no GGUF model: {_guess(start + f.read(200), size)}", "fetch it again")
        try:
            return Header(path, size, _values(f, vocabulary))
        except (struct.error, ValueError, UnicodeDecodeError, EOFError) as e:
            raise ModelDamaged(f"the header of {path} is damaged or cut short: {e}", "fetch it again") from e


def _guess(start: bytes, size: int) -> str:
    if size == 0:
        return "it is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, the model itself was not fetched"
    if start.lstrip()[:1] == b"<":
        return "it is a web page"
    return f"it begins with {start[:8]!r}"


def _values(f: BinaryIO, vocabulary: bool) -> dict[str, Value]:
    version, _tensors, count = struct.unpack("<IQQ", _take(f, 20))
    if version not in (2, 3):
        raise ValueError(f"version {version} is not known")
    found: dict[str, Value] = {}
    for _ in range(count):
        key = _text(f)
        if key.startswith("tokenizer.") and not vocabulary:
            break
        (kind,) = struct.unpack("<I", _take(f, 4))
        value = _value(f, kind)
        if value is not None:
            found[key] = value
    return found


def _value(f: BinaryIO, kind: int) -> Value | None:
    """The next value; None for an array, which is passed over."""
    if kind == _TEXT:
        return _text(f)
    if kind != _ARRAY:
        return _number(f, kind)
    inner, count = struct.unpack("<IQ", _take(f, 12))
    if count > _MOST:
        raise ValueError(f"an array of {count} items")
    if inner in _NUMBERS:
        f.seek(struct.calcsize(_NUMBERS[inner]) * count, os.SEEK_CUR)
    else:
        for _ in range(count):
            _pass_over(f, inner)
    return None


def _pass_over(f: BinaryIO, kind: int) -> None:
    if kind != _TEXT:
        raise ValueError(f"an array of type {kind}")
    (length,) = struct.unpack("<Q", _take(f, 8))
    if length > _MOST:
        raise ValueError(f"a text of {length} bytes")
    _take(f, length)


def _number(f: BinaryIO, kind: int) -> Value:
    if kind not in _NUMBERS:
        raise ValueError(f"type {kind} is not known")
    value: Value = struct.unpack(_NUMBERS[kind], _take(f, struct.calcsize(_NUMBERS[kind])))[0]
    return value


def _text(f: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", _take(f, 8))
    if length > _MOST:
        raise ValueError(f"a text of {length} bytes")
    return _take(f, length).decode("utf-8")


def _take(f: BinaryIO, count: int) -> bytes:
    data = f.read(count)
    if len(data) != count:
        raise EOFError("the file ends inside its header")
    return data


def check_memory(header: Header, window: int, free: int | None) -> None:
    """Raises ModelError if the model with that window does not fit into `free` bytes; None: not known, not checked."""
    check_free(f"{header.path.name} with a window of {window} tokens", header.memory(window), free)


def check_free(what: str, need: int, free: int | None) -> None:
    """Raises ModelError if `what` needs more bytes than are free; None: not known, not checked."""
    if free is not None and need > free:
        raise ModelError(
            f"{what} needs {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free",
            "choose a smaller model or a smaller window, or close other programs",
        )


def free_memory() -> int | None:
    """Bytes that a new process can use without swapping; None where the system does not tell (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
    limit = _left_of_limit(Path("/sys/fs/cgroup"))
    return free if limit is None else min(free, limit)


def _left_of_limit(group: Path) -> int | None:
    """Bytes that are left of the memory that a container may use, files in its cache counted as free; None: no limit.

    (cgroup v2: docs.kernel.org/admin-guide/cgroup-v2.html, `memory.max`, `memory.current`, `memory.stat`.)"""
    try:
        most, used = (int((group / f"memory.{name}").read_text("ascii")) for name in ("max", "current"))
        lines = (group / "memory.stat").read_text("ascii").splitlines()
        cached = next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
    except (OSError, ValueError):  # no limit, or "max"
        return None
    return max(0, most - used + cached)
