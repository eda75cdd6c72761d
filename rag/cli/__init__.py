"""The command line: it parses, calls the assistant, and prints. In the order in which `rag --help` lists them:

rag add PATH...     bring files and folders into the index
rag watch FOLDER... keep the index in step with folders
rag ask QUESTION    an answer with its quotes
rag search WORDS    the passages most worth reading
rag chat            the chat page in a browser
rag serve           the HTTP API, OpenAI's too
rag mcp             the same for the Model Context Protocol
rag verify FILE     check an answer's receipt
rag show [SOURCE]   what the index holds, or one document's text
rag check           prove the index, and mend what can be mended
rag reindex         make the index anew for another embedder, from its own texts
rag remove SOURCE   forget a document
rag rename OLD NEW  rename a collection
rag models          what is installed, and whether it is what it should be
rag eval [PATH...]  measure it, on datasets or on your own documents
rag conversations   what was asked on the chat page: list, export, verify, delete
rag feedback        the answers that were rated, as an evaluation set
rag settings        every setting with its range
"""

from __future__ import annotations

import sys

import typer

from rag.cli import conversations, documents, doors, evals, models, questions, receipts, settings
from rag.cli.shared import app
from rag.errors import RagError

__all__ = ["app", "conversations", "documents", "doors", "evals", "main", "models", "questions", "receipts", "settings"]

STOPPED = 130
_ORDER = [line.split()[1] for line in (__doc__ or "").splitlines() if line.startswith("rag ")]


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


app.registered_commands.sort(key=lambda c: _place(str(c.name or getattr(c.callback, "__name__", ""))))


def main() -> None:
    """Run the command line; every error becomes one sentence, its cure, and an exit code."""
    try:
        code = app(standalone_mode=False)  # an early exit comes back as its code, and so does Ctrl-C
        if code == STOPPED:
            raise KeyboardInterrupt
    except RagError as e:
        print(f"rag: {e.message}" + (f"\n     {e.hint}" if e.hint else ""), file=sys.stderr)
        raise SystemExit(e.exit_code) from None
    except (KeyboardInterrupt, typer.Abort):
        print("\nrag: stopped; what was acknowledged is kept", file=sys.stderr)
        raise SystemExit(STOPPED) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(0) from None
    except Exception as e:
        if hasattr(e, "show"):  # the option parser's own errors know how to say themselves
            e.show()
            raise SystemExit(getattr(e, "exit_code", 2)) from None
        raise
    raise SystemExit(code if isinstance(code, int) else 0)
