"""A gateway whose first target is throttled or refused beside one that works; time stands still."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import orjson
from configs import write_config
from in_process import Place, opened
from outage_world import good
from raw_upstream import Exchange, RawUpstream, raw_upstream

from headgate_gateway.credentials import Credentials
from headgate_gateway.providers.openai_compatible import OpenaiCompatible
from headgate_gateway.resting import Rest
from headgate_gateway.routing.target_state import TargetState

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: a, use: openai_compatible, options: {{base_url: "{url}", api_keys: [{keys}]}}}}
  - {{name: b, use: openai_compatible, options: {{base_url: "{url}", headers: {{x: b}}}}}}
pools:
  - name: both
    strategy: {strategy}
    targets: [{{provider: a, model: big}}, {{provider: b, model: spare}}]
  - {{name: alone, targets: [{{provider: a, model: big}}]}}
  - {{name: small, targets: [{{provider: a, model: small}}]}}
  - {{name: out, targets: [{{provider: a, model: big}}, {{provider: a, model: huge}}]}}
"""
Refuses = Callable[[Exchange], Awaitable[None]]


def refusal(status: int, headers: str = "", code: str = "x") -> Refuses:
    """Answers with this status at once."""

    async def script(exchange: Exchange) -> None:
        error = {"message": "no", "type": code, "param": None, "code": code}
        await exchange.json(status, orjson.dumps({"error": error}), headers)

    return script


class World:
    """The gateway, its upstream and its clock, which moves when the test says so."""

    def __init__(self, place: Place, fake: RawUpstream) -> None:
        self.now = 1000.0
        self.place = place
        self.fake = fake
        self.refused: Refuses | None = None
        """What ``models`` at ``keys`` are answered with; None = all is well."""
        self.models = {"big"}
        self.keys: set[str] = {"", "Bearer one", "Bearer two"}
        self.asked: Counter[tuple[str, str]] = Counter()
        """How often each model was asked with each key's header."""
        fake.script = self._script
        for state in self.states("both", "alone", "small", "out"):
            state.rest = Rest(self._clock)
            provider = cast("OpenaiCompatible", state.provider)
            provider._credentials = Credentials(provider.api_keys, self._clock)

    def states(self, *pools: str) -> list[TargetState]:
        """The targets of these pools."""
        found = self.place.endpoints.gateway._router.pools
        return [state for pool in pools for state in found[pool].states]

    async def calls(self, pool: str, number: int, every_s: float = 0.05) -> Counter[int]:
        """So many calls one after the other; how often each status came."""
        statuses: Counter[int] = Counter()
        for _ in range(number):
            statuses[(await self.place.chat(pool)).status] += 1
            self.now += every_s
        return statuses

    def sent(self, model: str) -> int:
        """Requests for the model so far, with whatever key."""
        return sum(n for (name, _), n in self.asked.items() if name == model)

    def _clock(self) -> float:
        return self.now

    async def _script(self, exchange: Exchange) -> None:
        model, key = exchange.body["model"], exchange.headers.get("authorization", "")
        self.asked[model, key] += 1
        sick = self.refused is not None and model in self.models and key in self.keys
        await (self.refused if sick and self.refused else good)(exchange)


def in_world(
    folder: Path,
    work: Callable[[World], Awaitable[None]],
    keys: int = 1,
    strategy: str = "priority",
) -> None:
    """Runs ``work`` where provider ``a`` has so many keys. ``UP_ONE`` and ``UP_TWO`` hold them."""

    async def run() -> None:
        async with raw_upstream(good) as fake:
            names = ", ".join(['"env:UP_ONE"', '"env:UP_TWO"'][:keys])
            text = CONFIG.format(url=fake.url, keys=names, strategy=strategy)
            async with opened(write_config(folder, text)) as place:
                await work(World(place, fake))

    asyncio.run(run())
