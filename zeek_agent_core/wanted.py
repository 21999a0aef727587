"""Pure: what several queries want of one table together."""

import os.path
from collections.abc import Callable, Collection, Mapping
from typing import Any

from zeek_agent_core.table import Prefix, Where


def union(wheres: Collection[Where]) -> Where:
    """Return a `Where` that admits each row that one of *wheres* admits; there is at least one.

    A condition stays where all have one of its kind on the same column.
    """
    return Where(
        columns=frozenset().union(*(where.columns for where in wheres)),
        allowed=_shared([where.allowed for where in wheres], _either),
        lows=_shared([where.lows for where in wheres], min),
        highs=_shared([where.highs for where in wheres], max),
        prefixes=_shared([where.prefixes for where in wheres], _common),
    )


def _shared(
    conditions: list[Mapping[str, Any]], widen: Callable[[list[Any]], Any]
) -> dict[str, Any]:
    """Return what all *conditions* say of a column, made as wide as the widest."""
    shared = {}
    for name in frozenset.intersection(*map(frozenset, conditions)):
        widened = widen([condition[name] for condition in conditions])
        if widened is not None:
            shared[name] = widened
    return shared


def _either(sets: list[Collection[Any]]) -> frozenset[Any]:
    return frozenset().union(*sets)


def _common(prefixes: list[Prefix]) -> Prefix | None:
    """Return the text with which all *prefixes* begin; None if there is none."""
    ignore_case = any(prefix.ignore_case for prefix in prefixes)
    texts = [prefix.text for prefix in prefixes]
    if ignore_case and len(set(texts)) > 1:
        texts = [text.casefold() for text in texts]
    text = os.path.commonprefix(texts)  # noqa: RUF071 - of letters, not directories
    return Prefix(text, ignore_case) if text else None
