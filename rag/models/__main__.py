"""Makes the fast form of the default embedder, so that the first question need not: `python -m rag.models`."""

from __future__ import annotations

from rag.models import Models


def main() -> None:
    """The command; .ci/install.py runs it once."""
    models = Models()
    for entry in models.catalogue.values():
        if entry.role == "embedder" and entry.package:
            models.exported(entry)


if __name__ == "__main__":
    main()
