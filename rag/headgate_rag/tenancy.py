"""Who may see what: the one function that builds the filter of every read, and what it reads.

A point carries its tenant, its document's ``groups`` and its metadata as ``labels``. The tenant
and the groups of a query come from the caller's key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headgate_core.errors import InvalidRequest, ServiceError
from headgate_core.settings.retrieval import CollectionSettings

SHARED = "*"
"""The tenant under which collections with ``tenancy: shared`` keep everything."""


def stored_tenant(collection: CollectionSettings, tenant: str) -> str:
    """The tenant under which ``tenant`` writes and reads in this collection."""
    if collection.tenancy == "shared":
        return SHARED
    if not tenant or tenant == SHARED:
        raise ServiceError(
            f"Collection {collection.name!r} is kept apart by tenant, and {tenant!r} is none: "
            "give the key (or `--tenant`) the name of one."
        )
    return tenant


def groups_of(metadata: Mapping[str, Any]) -> list[str]:
    """The groups that may see a document; empty = its whole tenant. Raises ``InvalidRequest``."""
    groups = metadata.get("groups")
    if groups is None:
        return []
    names = [groups] if isinstance(groups, str) else groups
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) and n for n in names):
        raise InvalidRequest(
            f"metadata `groups` must be a list of names, not {groups!r}: "
            "nobody could tell who may see the document."
        )
    return list(names)


def labels_of(metadata: Mapping[str, Any]) -> list[str]:
    """What ``where`` can ask for: one label a text, whole number or truth value, lists included."""
    labels = []
    for key, value in metadata.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, str | int):
                labels.append(_label(key, item))
    return labels


def _label(key: str, value: str | int) -> str:
    # One keyword field: the engine would take `true` for 1, and keys could be mistaken for paths.
    return f"{key}={json.dumps(value, ensure_ascii=False)}"


def tenant_filter(tenant: str, groups: Sequence[str], where: Mapping[str, str | int | bool]) -> Any:
    """The filter of every read of the embedded engine. No read is made without it."""
    import qdrant_edge as edge

    def equals(key: str, value: str) -> Any:
        return edge.FieldCondition(key=key, match=edge.MatchValue(value=value))

    visible: list[Any] = [edge.IsEmptyCondition("groups")]
    if groups:
        visible.append(edge.FieldCondition(key="groups", match=edge.MatchAny(list(groups))))
    conditions = [equals("labels", _label(key, value)) for key, value in where.items()]
    return edge.Filter(must=[equals("tenant", tenant), edge.Filter(should=visible), *conditions])
