"""A deployment as the command line and the admin API show it: its workers and its targets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from unicodedata import category

from headgate_core.errors import InvalidRequest, NotFound, StoreError
from headgate_core.plugins import unknown
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.pools import PoolSettings
from headgate_core.store import Store
from headgate_core.types import Json
from headgate_gateway.operations import disabled as rows
from headgate_gateway.operations.disabled import Disabled
from headgate_gateway.operations.live import workers

LONGEST_S = 30 * 86400
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST_WHY = 500
"""Characters of a reason."""
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")


def moment(unix_ns: int) -> str:
    """A point in time (UTC), to the second."""
    return datetime.fromtimestamp(unix_ns // 10**9, UTC).isoformat()


def status(data_dir: Path, store: Store | None) -> Json:
    """Version, store, workers, journal, disabled targets, dropped scores.

    ``store`` is None where it was not asked. Blocks.
    """
    told, out = ("not asked", []) if store is None else _asked(store)
    alive = workers(data_dir)
    return {
        "version": version("headgate"),
        "store": told,
        "workers": [worker(row) for row in alive],
        "journal_bytes": sum(w["journal_bytes"] for w in alive),
        "disabled": [
            {"target": row.name, "until": moment(row.until_unix_ns), "why": row.why} for row in out
        ],
        "scores_dropped": sum(w["scores_dropped"] for w in alive),
    }


def _asked(store: Store) -> tuple[str, list[Disabled]]:
    try:
        return "ok", rows.disabled(store)
    except StoreError as error:
        return str(error), []


WORKER = ("pid", "server_pid", "version", "config", "journal_bytes", "journal_failure")


def worker(row: Json) -> Json:
    """What a worker published, for people to read."""
    refused = row["refused"]
    return {
        **{k: row[k] for k in WORKER},
        "loaded": moment(row["loaded_unix_ns"]),
        "refused": refused and {"at": moment(refused["at_unix_ns"]), "error": refused["error"]},
    }


def targets(settings: GatewaySettings, store: Store) -> list[Json]:
    """Every target in every running worker, or as configured where none runs. Blocks.

    Raises ``StoreError``.
    """
    out = {row.name: row for row in rows.disabled(store)}
    seen = [{"pid": w["pid"], **row} for w in workers(settings.data_dir) for row in w["targets"]]
    table = seen or _configured(settings.pools)
    for row in table:
        found = out.get(row["target"])
        row["state"] = "disabled" if found else row["state"]
        row["why"] = found.why if found else ""
        row["until"] = moment(found.until_unix_ns) if found else None
    return table


def _configured(pools: Iterable[PoolSettings]) -> list[Json]:
    return [_unseen(p.name, f"{t.provider}/{t.model}") for p in pools for t in p.targets]


def _unseen(pool: str, target: str) -> Json:
    return {
        "pid": None,
        "pool": pool,
        "target": target,
        "state": "no worker",
        "in_flight": 0,
        "first_token_s": None,
        "last_fault": "",
        "last_fault_unix_ns": 0,
        "probe": "",
    }


def disable(
    settings: GatewaySettings, store: Store, target: str, for_: str, why: str
) -> tuple[Disabled, list[str]]:
    """Take a target out of use; also returns the pools that have no other target left. Blocks.

    Raises ``NotFound`` for a target that no pool has, ``InvalidRequest`` and ``StoreError``.
    """
    provider, model = _known(settings, target)
    row = rows.disable(store, provider, model, seconds(for_), _reason(why))
    left = {r.name for r in rows.disabled(store)}
    return row, [p.name for p in settings.pools if target in _names(p) <= left]


def enable(store: Store, target: str) -> None:
    """Put a target back into use. Raises ``NotFound`` when it was not disabled. Blocks."""
    rows.enable(store, target)


def seconds(text: str) -> float:
    """A duration such as ``30s`` or ``2h`` in seconds. Raises ``InvalidRequest``."""
    found = _DURATION.fullmatch(text)
    value = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < value <= LONGEST_S:
        raise InvalidRequest(
            f"{text!r} is no duration such as 30s, 15m, 2h or 1d (30 days at most).", param="for"
        )
    return value


def _reason(why: str) -> str:
    why = why.strip()
    if not why:
        raise InvalidRequest("Say why, for whoever looks next.", param="why")
    if len(why) > LONGEST_WHY or not all(c.isprintable() or category(c) == "Zs" for c in why):
        raise InvalidRequest(
            f"Say why in one line of {LONGEST_WHY} characters at most that can be printed.",
            param="why",
        )
    return why


def _known(settings: GatewaySettings, target: str) -> tuple[str, str]:
    for pool in settings.pools:
        for one in pool.targets:
            if f"{one.provider}/{one.model}" == target:
                return one.provider, one.model
    text = unknown("target", target, sorted(set[str]().union(*map(_names, settings.pools))))
    raise NotFound(text[0].upper() + text[1:], param="target", code="target_not_found")


def _names(pool: PoolSettings) -> set[str]:
    return {f"{t.provider}/{t.model}" for t in pool.targets}
