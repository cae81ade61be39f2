"""Of two attempts that ran at once, the one whose reply the caller got is named as its target."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from configs import write_config
from in_process import eventually, opened
from raw_upstream import Exchange, raw_upstream
from upstream import completion, stream_of

CONFIG = """\
auth: {{keys: open}}
providers: [{{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}]
pools:
  - name: main
    targets: [{{provider: up, model: one}}, {{provider: up, model: two}}]
    hedge: {{max_share: 1.0}}
routes:
  - {{name: plain, pool: main}}
  - {{name: captured, pool: main, capture: full}}
"""


@pytest.mark.parametrize("route", ["plain", "captured"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("winner", ["one", "two"])
def test_the_target_is_the_one_that_answered(
    tmp_path: Path, winner: str, stream: bool, route: str
) -> None:
    async def ask() -> None:
        async def script(exchange: Exchange) -> None:
            model = exchange.body["model"]
            await eventually(lambda: len(fake.requests) == 2, "there was no hedge")
            if model != winner:
                await exchange.gone()
            elif stream:
                pieces = stream_of(["hi"])
                await exchange.stream(
                    [p.replace(b'"fake"', b'"%s"' % model.encode()) for p in pieces]
                )
            else:
                await exchange.json(200, orjson.dumps(completion("hi", model)))

        async with (
            raw_upstream(script) as fake,
            opened(write_config(tmp_path, CONFIG.format(url=fake.url))) as place,
        ):
            for state in place.endpoints.gateway._router.pools["main"].states:
                for _ in range(30):
                    state.answered(0.001, stream=stream)
            answer = await place.chat(route, stream=stream, headgate={"meta": True})
            await eventually(lambda: len(place.records) == 1, "the call is not on record")
            record = place.records[0]
            last = answer.chunks[-1] if stream else answer.json
            model = (answer.chunks[0] if stream else answer.json)["model"]
            outcomes = {a["model"]: a["outcome"] for a in record["attempts"]}
        loser = "two" if winner == "one" else "one"
        assert outcomes == {winner: "ok", loser: "cancelled"}
        assert [a["why"] for a in record["attempts"]] == ["first", "hedge"]
        named = (answer.headers["x-headgate-target"], record["target"], last["headgate"]["target"])
        assert named == (f"up/{winner}",) * 3
        assert model == winner

    asyncio.run(ask())
