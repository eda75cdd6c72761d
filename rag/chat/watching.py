"""The folders that are kept in step with the library: a switch for each, remembered beside the index.

Offered only where the page is served to this computer alone: whoever names a folder here can read what is in it.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rag.chat.names import file_name
from rag.chat.show import esc
from rag.chat.texts import say
from rag.errors import RagError, UsageError
from rag.files import write_atomically

if TYPE_CHECKING:
    from rag.add import Report
    from rag.assistant import Assistant
    from rag.watch import Watch


class Watching:
    """The watches of one page. Safe to use from several threads."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._file = assistant.folder / "watched.json"
        self._lock = threading.Lock()
        self._watches: dict[str, Watch] = {}
        self._news: dict[str, str] = {}

    def resume(self) -> None:
        """Take up again, in the background, what was watched when the page was served last."""
        folders: list[str] = []
        with suppress(OSError, ValueError):
            kept = json.loads(self._file.read_bytes())
            folders = [f for f in kept if isinstance(f, str)] if isinstance(kept, list) else []

        def begin() -> None:
            for folder in folders:
                try:
                    self.on(folder)
                except RagError as e:
                    self._news[folder] = str(e)

        if folders:
            threading.Thread(target=begin, name="chat-watching", daemon=True).start()

    def on(self, folder: str) -> None:
        """Watch a folder of this computer. Raises UsageError if it is none, IndexBusy if the index is only read."""
        path = Path(folder.strip()).expanduser()
        if not folder.strip() or not path.is_absolute():
            raise UsageError(say("watching.no_folder", name=repr(folder)), say("watching.no_folder_hint"))
        name = str(path.resolve())
        with self._lock:
            if name not in self._watches:
                self._news.pop(name, None)
                self._watches[name] = self._assistant.watch([path], lambda report: self._told(name, report))
                self._keep()

    def off(self, folder: str) -> None:
        """Watch it no more; what was indexed stays, and so does the switch, until the page is served anew."""
        with self._lock:
            watch = self._watches.pop(folder, None)
            if watch is None:
                return
            self._news[folder] = ""
            self._keep()
        watch.stop(5.0)

    def html(self) -> str:
        """The folders, each with a switch and the last news of it."""
        with self._lock:
            watches, news = dict(self._watches), dict(self._news)
        rows = "".join(_row(name, watch.trouble or news.get(name, ""), True) for name, watch in watches.items())
        rows += "".join(_row(name, why, False) for name, why in news.items() if name not in watches)
        return f'{_new()}<ul class="watched">{rows}</ul>'

    def _told(self, name: str, report: Report) -> None:
        counts = {state: len(getattr(report, state)) for state in ("added", "changed", "removed", "refused")}
        said = [say(f"watching.{state}", n=n) for state, n in counts.items() if n]
        said += [f"{file_name(uri)}: {note}" for uri, note in report.notes[:3]]
        self._news[name] = ", ".join(said)

    def _keep(self) -> None:
        with suppress(OSError):  # it is watched all the same; only not the next time
            write_atomically(self._file, json.dumps(list(self._watches)).encode())


def _new() -> str:
    return (
        f'<details class="watching"><summary class="plain">{say("watching.watch")}</summary>'
        f"<p>{say('watching.says')}</p>"
        '<div class="watch-new"><input type="text" id="watch-path" dir="auto" placeholder="/home/me/notes"'
        f' aria-label="{say("watching.path")}"><button type="button" class="plain" data-do="watch">'
        f"{say('watching.do')}</button></div></details>"
    )


def _row(name: str, news: str, on: bool) -> str:
    return (
        f'<li><label><input type="checkbox" role="switch" data-watch="{esc(name)}"{" checked" if on else ""}>'
        f'<span dir="auto">{esc(name)}</span></label>{f"<small>{esc(news)}</small>" if news else ""}</li>'
    )
