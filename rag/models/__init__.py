"""The keeper of models/: what is known, where it lies, and that it is what it says.

`models/catalogue.toml` names every model; what the user adds stands beside the fetched files. A file is hashed before
anything opens it: one flipped bit in a GGUF can abort the process or, worse, change answers in silence. Its sha256 is
pinned in the catalogue, or else written down at the first fetch, and holds ever after. Nothing is fetched unless asked.

    models/catalogue.toml                 what is known (in a wheel: rag/_models/catalogue.toml)
    models/files/<name>/<file>            fetched, and <file>.part while it is
    models/files/<name>/<hash>-<form>.onnx    the fast form of an embedder
    models/files/lock.json                the sha256 of what was fetched, where the catalogue has none
    models/files/added.toml               what the user added
    (without a checkout, files/ stands in the user's data folder)
"""

from __future__ import annotations

import difflib
import importlib.util
import json
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from rag.errors import ModelDamaged, ModelError, ModelMissing, UsageError
from rag.files import Lock, sha256_of, write_atomically
from rag.llm.gguf import check_free, free_memory
from rag.models.entry import Entry, File, read, written

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HUB", "Entry", "File", "Models"]

HUB = "https://huggingface.co"
_EXPORT = 4  # times the size of the weights: them, the graph, its bytes, and those bytes checked


class Models:
    """The models of this installation. `folder` is models/ of the checkout, or the user's data folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.home = _home()
        self.folder = folder if folder is not None else _default_folder(self.home)
        self.files = self.folder / "files"
        self._lock = _locked(self.files / "lock.json")
        known = read(self.home / "catalogue.toml") | read(self.files / "added.toml")
        self.catalogue = {name: self._pinned(entry) for name, entry in known.items()}

    def entry(self, name: str, role: str | None = None) -> Entry:
        """The catalogue's entry. Raises ModelMissing, naming the nearest known one."""
        names = [n for n, e in self.catalogue.items() if role in (None, e.role)]
        if name in names:
            return self.catalogue[name]
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        what = role if role is not None else "model"
        raise ModelMissing(f"there is no {what} called {name!r}", f"did you mean {nearest[0]!r}? rag models list")

    def locate(self, entry: Entry) -> Path:
        """The folder that holds the model's files. Raises ModelMissing."""
        if entry.fetched:
            return self.files / entry.name
        if not entry.package:
            return self.home / entry.folder
        spec = importlib.util.find_spec(entry.package)  # finds a package without running it
        if spec is None or not spec.submodule_search_locations:
            name = entry.package.replace("_", "-")
            raise ModelMissing(f"{entry.name} is not installed", f"pip install {name}")
        return Path(spec.submodule_search_locations[0]) / entry.folder

    def present(self, entry: Entry) -> Path:
        """The folder, if each file is there with its length: a look, no proof. Raises ModelMissing, ModelDamaged."""
        folder = self.locate(entry)
        for name, file in entry.files.items():
            path = folder / name
            if not path.is_file() or (entry.fetched and not file.sha256):
                if entry.fetched:
                    raise ModelMissing(f"{entry.name} is not fetched yet", f"rag models fetch {entry.name}")
                raise ModelMissing(f"{entry.name}: {path} is not there", _cure(entry))
            if path.stat().st_size != file.bytes:
                raise ModelDamaged(f"{entry.name}: {path} is not the file in the catalogue", _cure(entry))
        return folder

    def verified(self, entry: Entry) -> Path:
        """The folder, after each file's hash was found to be the known one. Raises ModelMissing, ModelDamaged."""
        folder = self.present(entry)
        for name, file in entry.files.items():
            if sha256_of(folder / name) != file.sha256:
                raise ModelDamaged(f"{entry.name}: {folder / name} is not the file in the catalogue", _cure(entry))
        return folder

    def fetch(
        self,
        name: str,
        host: str = HUB,
        progress: Callable[[str, int, int | None], None] | None = None,
        *,
        renew: bool = False,
    ) -> Entry:
        """Fetches the files of `name` that are not here whole; its entry, now with every hash. `host`: the hub, a
        mirror, or a folder (a path or file://). `progress` is told file, bytes here, bytes in all. `renew`: what was
        written down at the first fetch is forgotten, as after a new revision.

        Raises what rag/models/download.py raises; ModelError too if another process is fetching it."""
        entry = self.entry(name)
        if not entry.fetched:
            self.verified(entry)
            return entry
        with self._alone(entry):
            if renew:
                self._lock.pop(name, None)
                self.catalogue[name] = entry = self._pinned(self._known(name))
            for file, known in entry.files.items():
                target = self.files / name / file
                if known.sha256 and target.is_file() and sha256_of(target) == known.sha256:
                    continue
                told = (lambda here, total, file=file: progress(file, here, total)) if progress is not None else None
                found = self._bring(entry, file, known, host, told)
                self._lock.setdefault(name, {})[file] = found
                _lock_down(self.files / "lock.json", self._lock)
            self.catalogue[name] = self._pinned(entry)
        return self.catalogue[name]

    def add(self, entry: Entry) -> None:
        """Writes a model of the user's own into the user's catalogue. Raises UsageError if the name is taken."""
        known = self.catalogue.get(entry.name)
        if known is not None and known.folder != entry.folder:
            raise UsageError(f"there is a model called {entry.name!r} already", "give another one: --name")
        path = self.files / "added.toml"
        entries = read(path) | {entry.name: entry}
        path.parent.mkdir(parents=True, exist_ok=True)
        head = "# Models of your own, written by `rag models add`; delete an entry to forget it.\n\n"
        write_atomically(path, (head + "\n".join(map(written, entries.values()))).encode())
        self.catalogue[entry.name] = entry

    def exported(self, entry: Entry) -> Path:
        """The ONNX form of an embedder, made once from the verified weights and hashed at every use: the default in
        int8, whose vectors were measured, others in fp32. Raises ModelError for an architecture that has none
        (rag/embed/export.py), or too little memory; ModelMissing, ModelDamaged."""
        from rag.embed import FORM

        exact = not entry.package
        weights = next(iter(entry.files.values())).sha256[:12] or "none"
        path = self.files / entry.name / f"{weights}-{'fp32' if exact else FORM}.onnx"
        card = path.with_suffix(".json")
        if path.is_file() and card.is_file():
            try:
                if json.loads(card.read_text("utf-8"))["sha256"] == sha256_of(path):
                    return path
            except (ValueError, KeyError, TypeError):
                pass  # a damaged card: make both anew
        from rag.embed.export import export

        check_free(f"{entry.name}, made fast,", _EXPORT * entry.bytes, free_memory())
        data = export(self.verified(entry), exact=exact)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
        write_atomically(card, json.dumps({"from": entry.fingerprint, "sha256": sha256_of(path)}).encode())
        return path

    def _bring(
        self, entry: Entry, file: str, known: File, host: str, progress: Callable[[int, int | None], None] | None
    ) -> File:
        from rag.models.download import copy, download

        target = self.files / entry.name / file
        folder = _folder_of(host)
        if folder is None:
            url = f"{host.rstrip('/')}/{entry.source}/resolve/{quote(entry.revision)}/{quote(file)}"
            return download(url, target, known, progress)
        tried = [folder / entry.source / file, folder / entry.name / file, folder / file]
        source = next((path for path in tried if path.is_file()), None)
        if source is None:
            raise ModelMissing(f"{file} is not in {folder}", f"lay it where one of these is: {tried[0]}, {tried[1]}")
        return copy(source, target, known, progress)

    @contextmanager
    def _alone(self, entry: Entry) -> Iterator[None]:
        """Holds the model's folder against a second fetch."""
        folder = self.files / entry.name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = Lock(folder / "LOCK")
        except BlockingIOError as e:
            raise ModelError(f"{entry.name} is being fetched already: {e}", "wait for it") from e
        try:
            yield
        finally:
            lock.release()

    def _known(self, name: str) -> Entry:
        return read(self.home / "catalogue.toml")[name]

    def _pinned(self, entry: Entry) -> Entry:
        """The entry with the hashes of its first fetch, where the catalogue has none."""
        seen = self._lock.get(entry.name, {})
        return replace(entry, files={n: f if f.sha256 else seen.get(n, f) for n, f in entry.files.items()})


def _cure(entry: Entry) -> str:
    if entry.fetched:
        return f"rag models fetch {entry.name}"
    return "install the package again" if entry.package or not Path(entry.folder).is_absolute() else "rag models add it"


def _folder_of(host: str) -> Path | None:
    """The folder that `host` means; None if it is an address. Raises UsageError for what is neither."""
    parts = urlsplit(host)
    if parts.scheme in ("http", "https") and parts.netloc:
        return None
    path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(host)
    if not path.is_dir():
        raise UsageError(f"models.host = {host!r} is no address and no folder", f"for example {HUB}, or /media/models")
    return path


def _locked(path: Path) -> dict[str, dict[str, File]]:
    with suppress(FileNotFoundError):
        try:
            told = json.loads(path.read_text("utf-8"))
            return {name: {n: File(**f) for n, f in files.items()} for name, files in told.items()}
        except (ValueError, TypeError, AttributeError) as e:
            raise ModelDamaged(f"{path} cannot be read: {e}", "delete it, and fetch the models again") from e
    return {}


def _lock_down(path: Path, lock: Mapping[str, Mapping[str, File]]) -> None:
    told = {m: {n: {"sha256": f.sha256, "bytes": f.bytes} for n, f in fs.items()} for m, fs in sorted(lock.items())}
    write_atomically(path, json.dumps(told, indent=1).encode())


def _home() -> Path:
    """Where the catalogue lies: models/ beside the package in a checkout, rag/_models in an installed wheel."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package.parent / "models", package / "_models"):
        if (folder / "catalogue.toml").is_file():
            return folder
    raise ModelMissing("models/catalogue.toml is not there", "install the package again")


def _default_folder(home: Path) -> Path:
    if home.name == "models":
        return home
    import platformdirs

    return Path(platformdirs.user_data_dir("rag")) / "models"
