"""Runs in the store: a run is there before its first case, a case as soon as it is judged."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from headgate_core.store import Store
from headgate_core.store.tables import run_cases, runs
from headgate_evals.results import CaseResult, Run


class RunLog:
    """Writes one run. All methods raise ``StoreError``. No text of a call is written."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    async def begin(self, suite: str, config_hash: str, data_hash: str) -> None:
        """Register the run."""
        row = {
            "run_id": self._run_id,
            "suite": suite,
            "started_unix_ns": time.time_ns(),
            "config_hash": config_hash,
            "data_hash": data_hash,
            "summary": "{}",
        }
        await asyncio.to_thread(self._execute, runs.insert().values(row))

    async def add(self, result: CaseResult) -> None:
        """Keep one result."""
        row = {
            "run_id": self._run_id,
            "case_id": result.case_id,
            "repeat": result.repeat,
            "call_id": result.call_id,
            "outcome": result.outcome,
            "details": _json(_details(result)),
        }
        await asyncio.to_thread(self._execute, run_cases.insert().values(row))

    async def finish(self, run: Run, summary: Mapping[str, Any]) -> None:
        """Close the run with its exit code and a summary."""
        row = {
            "finished_unix_ns": time.time_ns(),
            "exit_code": run.exit_code,
            "summary": _json(summary),
        }
        change = runs.update().where(runs.c.run_id == self._run_id).values(row)
        await asyncio.to_thread(self._execute, change)

    def _execute(self, statement: Any) -> None:
        with self._store.begin() as db:
            db.execute(statement)


def _details(result: CaseResult) -> dict[str, Any]:
    """Outcomes and numbers. The reasons of assertions may quote an answer, so they stay out."""
    return {
        "asserts": [{"type": a.type, "outcome": a.outcome} for a in result.asserts],
        "total_s": result.total_s,
        "cost_pico": result.cost_pico,
        "unpriced": result.unpriced,
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
