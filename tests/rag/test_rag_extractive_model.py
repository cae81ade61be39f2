"""The extractive model with the real embedding model, from a folder to the citation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from index_in_process import InProcessDaemon

from headgate_core.context import Context
from headgate_core.ports import ModelRequest, Tools
from headgate_core.reply import Chunk
from headgate_core.settings.base import PluginUse
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.pools import PoolSettings, TargetSettings
from headgate_core.settings.retrieval import CollectionSettings
from headgate_core.settings.server import StoreSettings
from headgate_core.types import Passage, Principal, Purpose
from headgate_rag.client import IndexClient
from headgate_rag.ingest import ingest
from headgate_rag.nearness import Nearness
from headgate_rag.providers.extractive import Extractive
from headgate_rag.types import Query

pytest.importorskip("sentence_transformers")
pytest.importorskip("qdrant_edge")

pytestmark = pytest.mark.slow

KETTLE = """# Aqua kettle

The Aqua kettle boils up to 1.7 litres of water.

## Descaling

Lime collects at the bottom. Descale the kettle once a month.

1. Fill it to the middle mark with one part of vinegar and two parts of water.
2. Boil, and let it stand for half an hour.
3. Rinse it three times.

## Temperature

| button | degrees |
|---|---|
| green tea | 80 |
| coffee | 92 |
| black tea | 100 |

## Noise

A loud hiss just before boiling is normal. It comes from steam bubbles that collapse.

## Warranty

The kettle is guaranteed for two years. Lime damage is not covered.

## Cleaning the outside

Pull the plug first. Wipe the housing with a damp cloth; never put it under running water.

## Error lights

A blinking red light means that the kettle was switched on without water. Let it cool down.
"""

ANSWERED = {
    "How often should the kettle be descaled?": "Descaling",
    "Why does it hiss before the water boils?": "Noise",
    "How long is the guarantee?": "Warranty",
    "What does the red light mean when it blinks?": "Error lights",
    "Which temperature has the button for coffee?": "Temperature",
    "Can I wash the kettle under running water?": "Cleaning the outside",
    "May the outside of the kettle get wet?": "Cleaning the outside",
    "Is limescale covered by the warranty?": "Warranty",
    "How many litres of water does the kettle boil?": "Aqua kettle",
}
UNANSWERED = [
    "Who designed the packaging?",
    "How do I connect it to Wi-Fi?",
    "What is the capital of Norway?",
    "Can I pay in instalments?",
]
OWN_WORDS = [
    "How many months does the red light blink?",
    "Which button boils vinegar?",
    "What colour is the housing of the kettle?",
    "How long does the kettle take to boil the water?",
]
"""The document has every word that matters of these, and no answer."""


def settings(folder: Path) -> GatewaySettings:
    (folder / "manual").mkdir()
    (folder / "manual" / "kettle.md").write_text(KETTLE)
    target = TargetSettings(provider="p", model="m")
    return GatewaySettings(
        store=StoreSettings(url=f"sqlite:///{folder}/var/headgate.db"),
        pools=[PoolSettings(name="p", targets=[target])],
        collections=[CollectionSettings(name="manual", sources=[folder / "manual"])],
    )


async def answers(chosen: GatewaySettings) -> dict[str, tuple[str, list[Passage]]]:
    await ingest(chosen, "manual", [], "default", False)
    client = IndexClient(chosen)

    class Embedder:
        async def embed(
            self, texts: Sequence[str], purpose: Purpose, principal: Principal
        ) -> list[list[float]]:
            return await client.embed(texts, PluginUse(use="minilm"))

        async def nearest(
            self, question: str, texts: Sequence[str], principal: Principal
        ) -> Nearness:
            return await client.nearest(question, texts, PluginUse(use="minilm"))

    model = Extractive()
    model.bind(cast(Tools, SimpleNamespace(embedder=Embedder())))
    principal = Principal("key-1")
    found: dict[str, tuple[str, list[Passage]]] = {}
    for question in [*ANSWERED, *UNANSWERED, *OWN_WORDS]:
        passages = await client.query(Query("manual", question, principal))
        body: dict[str, Any] = {"messages": [{"role": "user", "content": question}]}
        context = Context("docs", body, query=question, passages=passages, principal=principal)
        reply = await model.chat(ModelRequest(body, context=context), "extractive")
        events = [event async for event in reply.events]
        text = cast(Chunk, events[0]).body["choices"][0]["message"]["content"]
        found[question] = text, passages
    await client.close()
    return found


def test_questions_get_the_right_section_or_an_honest_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate_rag.client.DaemonClient", InProcessDaemon)
    monkeypatch.setattr(InProcessDaemon, "asked", [])
    found = asyncio.run(answers(settings(tmp_path)))
    for question, section in ANSWERED.items():
        text, passages = found[question]
        cited = {passages[int(n) - 1].heading[-1] for n in re.findall(r"\[(\d+)\]", text)}
        assert section in cited, f"{question} -> {text}"
    for question in [*UNANSWERED, *OWN_WORDS]:
        assert found[question][0] == "The documents do not answer this question.", question
