"""Plain JSON in, nouns out: the inverse of `rag.types.to_json`.

What was kept on disk becomes a noun again only by the noun's own door, so that a quote which cannot fill its span, or a
claim outside its answer, is refused here as it is everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["from_json"]

_Noun = TypeVar("_Noun")
_hints = cache(get_type_hints)


def from_json(noun: type[_Noun], plain: Any) -> _Noun:
    """The noun that `to_json` made `plain` of; what is absent takes its default, what is unknown is passed over. Raises
    ValueError where `plain` is no such noun, or a false one.

    >>> from rag.types import Span
    >>> from_json(Span, {"start": 1, "end": 2})
    Span(start=1, end=2)
    """
    try:
        return _built(noun, plain)  # type: ignore[no-any-return]
    except (TypeError, ValueError, KeyError, AttributeError) as e:
        raise ValueError(f"this is no {noun.__name__}: {e}") from e


def _built(hint: Any, plain: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return None if plain is None else _built(next(a for a in args if a is not NoneType), plain)
    if origin is tuple:
        kinds = args[:1] * len(plain) if args[-1] is Ellipsis else args
        return tuple(_built(kind, one) for kind, one in zip(kinds, plain, strict=True))
    if origin is Mapping:
        return MappingProxyType({str(key): _built(args[1], one) for key, one in plain.items()})
    if hasattr(hint, "__dataclass_fields__"):
        return hint(**{key: _built(kind, plain[key]) for key, kind in _hints(hint).items() if key in plain})
    return _single(hint, plain, origin is Literal, args)


def _single(hint: Any, plain: Any, literal: bool, choices: tuple[Any, ...]) -> Any:
    if literal and plain in choices:
        return plain
    if not literal and issubclass(hint, StrEnum):
        return hint(plain)
    if hint is float and type(plain) is int:
        return float(plain)
    if literal or type(plain) is not hint:
        raise ValueError(f"{plain!r:.60} is not of type {hint}")
    return plain
