"""What is known of a model, and the TOML in which it stands: models/catalogue.toml, and the user's own additions."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from rag.errors import ModelDamaged


@dataclass(frozen=True, slots=True)
class File:
    """A file of a model. `sha256` is '' until it is known: till then `bytes` is a guess, good to a fifth or 64 kB."""

    sha256: str
    bytes: int

    def fits(self, size: int) -> bool:
        """True if a file of `size` bytes may be this one."""
        return abs(size - self.bytes) <= (0 if self.sha256 else max(self.bytes / 5, 1 << 16))


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue. It lies in the Python package `package`, in `folder` (of models/, or anywhere), or,
    with neither, where `fetch` puts it. `memory`: bytes it takes while it runs. `tried`: by this project's makers."""

    name: str
    role: str
    source: str
    revision: str
    licence: str
    package: str = ""
    folder: str = ""
    good_for: str = ""
    template: str = ""
    style: str = "prose"
    window: int = 0
    dimension: int = 0
    memory: int = 0
    tried: bool = True
    prompts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)

    @property
    def fetched(self) -> bool:
        """True if it comes from the model hub, once it is asked for."""
        return not self.package and not self.folder

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(file.bytes for file in self.files.values())

    @property
    def fingerprint(self) -> str:
        """Name and weights: the first 12 digits of the sha256 of the first, the largest, file; then the prompts, if it
        has any, which change its vectors too."""
        weights = f"{self.name}@{next(iter(self.files.values())).sha256[:12]}" if self.files else self.name
        prompts = "|".join(f"{key}={text}" for key, text in sorted(self.prompts.items()) if text)
        return f"{weights}|{prompts}" if prompts else weights


def read(path: Path) -> dict[str, Entry]:
    """The entries of a catalogue, by name; none where there is no such file. Raises ModelDamaged."""
    if not path.is_file():
        return {}
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        return {name: _entry(name, values) for name, values in data.items()}
    except (ValueError, TypeError, AttributeError) as e:
        raise ModelDamaged(f"the catalogue {path} cannot be read: {e}", "mend that line, or delete the entry") from e


def written(entry: Entry) -> str:
    """The entry as TOML; `read` gives it back."""
    import tomlkit

    table = tomlkit.table()
    for f in fields(Entry):
        value = getattr(entry, f.name)
        if f.name not in ("name", "files", "prompts") and value != f.default:
            table.add(f.name, value)
    table.add("prompts", dict(entry.prompts))
    table.add("files", {name: {"sha256": f.sha256, "bytes": f.bytes} for name, f in entry.files.items()})
    return tomlkit.dumps({entry.name: table})


def _entry(name: str, values: Mapping[str, object]) -> Entry:
    files = values.get("files", {})
    if not isinstance(files, dict):
        raise TypeError(f"{name}: files is no table")
    rest = {key: value for key, value in values.items() if key != "files"}
    return Entry(name=name, files={n: File(**f) for n, f in files.items()}, **rest)  # type: ignore[arg-type]
