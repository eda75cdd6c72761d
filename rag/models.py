"""The keeper of models/: what is known, where it lies, and that it is what it says.

`models/catalogue.toml` names every model with the sha256 of its files. A file is hashed before anything opens it: one
flipped bit in a GGUF can abort the process or, worse, change answers in silence. Nothing here downloads.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag.errors import ModelDamaged, ModelMissing
from rag.files import sha256_of, write_atomically


@dataclass(frozen=True, slots=True)
class File:
    """A file of a model as the catalogue knows it."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue. `package` is the Python package that carries it, '' if it lies in models/."""

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
    prompts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Name and weights: the first 12 digits of the sha256 of the first, the largest, file."""
        return f"{self.name}@{next(iter(self.files.values())).sha256[:12]}" if self.files else self.name


class Models:
    """The models of this installation. `folder` is models/ of the checkout, or the user's data folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.home = _home()
        self.folder = folder if folder is not None else _default_folder(self.home)
        data = tomllib.loads((self.home / "catalogue.toml").read_text("utf-8"))
        self.catalogue = {name: _entry(name, values) for name, values in data.items()}

    def entry(self, name: str, role: str) -> Entry:
        """The catalogue's entry. Raises ModelMissing, naming the nearest known one."""
        names = [n for n, e in self.catalogue.items() if e.role == role]
        if name in names:
            return self.catalogue[name]
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        raise ModelMissing(
            f"there is no {role} called {name!r}", f"did you mean {nearest[0]!r}? rag models shows them all"
        )

    def locate(self, entry: Entry) -> Path:
        """The folder that holds the model's files. Raises ModelMissing."""
        if not entry.package:
            return self.home / entry.folder
        spec = importlib.util.find_spec(entry.package)  # finds a package without running it
        if spec is None or not spec.submodule_search_locations:
            name = entry.package.replace("_", "-")
            raise ModelMissing(f"{entry.name} is not installed", f"pip install {name}")
        return Path(spec.submodule_search_locations[0]) / entry.folder

    def verified(self, entry: Entry) -> Path:
        """The folder, after each file's hash was found to be the catalogue's. Raises ModelMissing, ModelDamaged."""
        folder = self.locate(entry)
        for name, file in entry.files.items():
            path = folder / name
            if not path.is_file():
                raise ModelMissing(f"{entry.name}: {path} is not there", "install the package again")
            if path.stat().st_size != file.bytes or sha256_of(path) != file.sha256:
                raise ModelDamaged(
                    f"{entry.name}: {path} is not the file in the catalogue", "install the package again"
                )
        return folder

    def exported(self, entry: Entry) -> Path:
        """The ONNX form of an embedder, made once from the verified weights and hashed at every use."""
        path = self.folder / "files" / entry.name / f"{next(iter(entry.files.values())).sha256[:12]}.onnx"
        card = path.with_suffix(".json")
        if path.is_file() and card.is_file():
            try:
                if json.loads(card.read_text("utf-8"))["sha256"] == sha256_of(path):
                    return path
            except (ValueError, KeyError, TypeError):
                pass  # a damaged card: make both anew
        from rag.embed.export import export

        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, export(self.verified(entry)))
        write_atomically(card, json.dumps({"from": entry.fingerprint, "sha256": sha256_of(path)}).encode())
        return path


def _home() -> Path:
    """Where the catalogue lies: models/ beside the package in a checkout, rag/_models in an installed wheel."""
    package = Path(__file__).resolve().parent
    for folder in (package.parent / "models", package / "_models"):
        if (folder / "catalogue.toml").is_file():
            return folder
    raise ModelMissing("models/catalogue.toml is not there", "install the package again")


def _default_folder(home: Path) -> Path:
    if home.name == "models":
        return home
    import platformdirs

    return Path(platformdirs.user_data_dir("rag")) / "models"


def _entry(name: str, values: dict[str, object]) -> Entry:
    files = values.pop("files", {})
    assert isinstance(files, dict)
    return Entry(name=name, files={n: File(**f) for n, f in files.items()}, **values)  # type: ignore[arg-type]


def main() -> None:
    """Make the fast form of the default embedder, so that the first question need not."""
    models = Models()
    for entry in models.catalogue.values():
        if entry.role == "embedder":
            models.exported(entry)


if __name__ == "__main__":
    main()
