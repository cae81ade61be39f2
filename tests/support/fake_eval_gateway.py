"""A gateway for the suite runner whose answers are given by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.ports import ModelRequest, Tools
from headgate_core.reply import Reply
from headgate_core.settings.base import PluginUse
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.store import Store
from headgate_core.types import Json, Passage, Principal, Purpose, Score, Usage

PASSAGES = (
    Passage("p1", "docs/retries.md", "Retries are decided by the pool.", 0, 32, anchor="retries"),
    Passage("p2", "docs/guards.md", "Guards hold text back.", 0, 22, heading=("Guards", "Streams")),
)


@dataclass
class Answer:
    """What one call comes back with; ``hang`` never comes back."""

    text: str = "Retries are decided by the pool [1]."
    error: HeadgateError | None = None
    refused: bool = False
    cost_pico: int = 10**9
    unpriced: bool = False
    hang: bool = False
    passages: Sequence[Passage] = PASSAGES


class NoModels:
    """Both ports to models; the metrics of these tests need none."""

    async def call(
        self,
        pool: str,
        request: ModelRequest,
        purpose: Purpose,
        principal: Principal,
        parent: Context | None = None,
    ) -> Reply:
        raise AssertionError("no model is there")

    async def embed(
        self, texts: Sequence[str], purpose: Purpose, principal: Principal
    ) -> list[list[float]]:
        raise AssertionError("no model is there")


def settings_of(**members: Any) -> GatewaySettings:
    """A gateway's settings with one pool."""
    pool = {"name": "p", "targets": [{"provider": "e", "model": "m"}]}
    return GatewaySettings.model_validate({"pools": [pool], **members})


def tools_of(
    tmp_path: Path, settings: GatewaySettings, plugin: Callable[[str, Any], Any] | None = None
) -> tuple[Tools, dict[str, list[Score]]]:
    """Tools over a fresh store, and the scores that were kept, by call."""
    kept: dict[str, list[Score]] = {}

    async def score(call_id: str, scores: Sequence[Score]) -> None:
        kept.setdefault(call_id, []).extend(scores)

    models = NoModels()
    store = Store.open(f"sqlite:///{tmp_path / 'test.db'}")
    tools = Tools(
        settings, tmp_path, store, models, models, plugin or built, lambda _line: None, score
    )
    return tools, kept


def built(kind: str, use: PluginUse) -> Any:
    """The installed plugin, found by the name of its module."""
    from headgate_core import plugins

    return plugins.build(kind, use.use, use.options)


def finished(answer: Answer, source: str = "serve", route: str = "docs") -> Context:
    """A context as it is when a call is over."""
    body = {"messages": [{"role": "user", "content": "How are retries decided?"}]}
    ctx = Context(route=route, request=body, source="eval" if source == "eval" else "serve")
    close(ctx, answer)
    return ctx


def close(ctx: Context, answer: Answer) -> None:
    """Fill in what a pipeline leaves behind."""
    ctx.answer, ctx.error, ctx.refused = answer.text, answer.error, answer.refused
    ctx.passages = list(answer.passages)
    ctx.cited = [n for n in (1, 2) if f"[{n}]" in answer.text]
    ctx.cost_pico, ctx.unpriced = answer.cost_pico, answer.unpriced
    ctx.usage = Usage(12, 7)


@dataclass
class FakeGateway:
    """Answers by the text of the last message; counts how many calls run at once."""

    tools: Tools
    answers: Mapping[str, Answer | list[Answer]] = field(default_factory=dict)
    bodies: list[Json] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)

    def context(self, *, model: str, body: Json) -> Context:
        self.bodies.append(body)
        return Context(route=model, request=body, source="eval", asked_model=model)

    async def complete(self, ctx: Context) -> None:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            answer = self._answer(ctx.request["messages"][-1]["content"])
            if answer.hang:
                self.started.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            close(ctx, answer)
        finally:
            self.running -= 1

    async def close(self) -> None:
        return None

    def _answer(self, question: str) -> Answer:
        found = self.answers.get(question, Answer())
        return found.pop(0) if isinstance(found, list) else found
