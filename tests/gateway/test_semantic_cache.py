"""The semantic cache: what is asked in other words is answered once, what differs never is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import openai
import pytest
from asking import user
from configs import write_config
from running import Server, headgate, serving
from upstream import Upstream, says, upstream

import headgate_gateway.caches
from headgate_core.errors import ConfigurationError
from headgate_core.near import Nearest
from headgate_core.ports import Tools
from headgate_core.types import Principal, Purpose
from headgate_gateway.caches.semantic import Semantic
from headgate_gateway.essentials import essentials
from headgate_gateway.questions import question_of

NEAR_MISSES = Path(headgate_gateway.caches.__file__).parent / "near_miss.jsonl"
WHO = Principal("key-1")


@dataclass
class Vectors:
    """An embedder: texts have the vectors given here, or all the same one."""

    known: dict[str, list[float]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def embed(
        self, texts: Sequence[str], purpose: Purpose, principal: Principal
    ) -> list[list[float]]:
        self.asked += texts
        return [self.known.get(text, [1.0, 0.0]) for text in texts]


def cache(embedder: Vectors | None = None, **options: Any) -> Semantic:
    made = Semantic(**options)
    made.bind(cast(Tools, SimpleNamespace(embedder=embedder or Vectors())))
    return made


def kept_and_found(made: Semantic, one: str, other: str, scope: str = "s") -> Nearest | None:
    async def scenario() -> Nearest | None:
        await made.keep("s", one, {"answer": 1}, "call-1")
        return await made.find(scope, other, WHO)

    return asyncio.run(scenario())


def pairs() -> list[dict[str, Any]]:
    return [json.loads(line) for line in NEAR_MISSES.read_text().splitlines()]


def test_the_set_that_ships_is_large_enough_to_show_half_a_percent() -> None:
    kinds = {p["kind"] for p in pairs() if not p["hit"]}
    assert sum(not p["hit"] for p in pairs()) >= 500
    assert {"number", "name", "negation", "direction", "unit", "tense", "date"} <= kinds
    assert {"brackets", "mark", "layout", "politeness", "quantity", "voice", "plural"} <= kinds
    assert sum(p["kind"] == "wording" for p in pairs()) >= 40


@pytest.mark.parametrize("kind", sorted({p["kind"] for p in pairs() if not p["hit"]}))
def test_a_near_miss_is_no_hit_even_for_an_embedder_that_sees_no_difference(kind: str) -> None:
    for pair in pairs():
        if pair["kind"] == kind:
            for one, other in ((pair["a"], pair["b"]), (pair["b"], pair["a"])):
                found = kept_and_found(cache(), one, other)
                assert found is None or found.value is None, (one, other)


@pytest.mark.slow
def test_with_the_real_model_false_hits_are_rare_and_paraphrases_hit() -> None:
    from headgate_rag.embedders.minilm import MiniLM

    texts = sorted({p[side] for p in pairs() for side in ("a", "b")})
    vectors = Vectors(dict(zip(texts, MiniLM().encode(texts), strict=True)))
    hits = {True: 0, False: 0}
    for pair in pairs():
        found = kept_and_found(cache(vectors), pair["a"], pair["b"])
        hits[pair["hit"]] += found is not None and found.value is not None
    near_misses = sum(not p["hit"] for p in pairs())
    assert hits[False] < 0.005 * near_misses
    assert hits[True] >= 0.5 * (len(pairs()) - near_misses)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my password?", "Please tell me how to reset the password"),
        ("Do we need 1,000 licences?", "Do I need 1000 licences?"),
        ("What's the fee for two photos?", "What is the fee for 2 photos"),
        ("Is it open  today?", "is it open today"),
        ("Hi, could you tell me where it is?", "Where is it? Thank you!"),
        ("Is 50% enough for us?", "is 50 percent enough for us"),
    ],
)
def test_wordings_of_one_question_have_the_same_essentials(one: str, other: str) -> None:
    assert essentials(one) == essentials(other)


@pytest.mark.parametrize("code", ["Why does ```x = 1``` fail?", "Why?\nif x:\n  the()", "a\tb"])
def test_a_long_text_or_code_is_compared_as_it_stands(code: str) -> None:
    assert essentials(code) == (code,)
    assert essentials("word " * 500) != essentials("the word " * 500)


@pytest.mark.parametrize(
    "text",
    [
        "Delete the files report1",
        "Is “the photo was taken” good English?",
        "Übersetze ins Englische: Autos?",
        "Could you tell me what the plural of child is?",
        "Is there a difference between big and large?",
        "I have the dogs",
    ],
)
def test_a_text_that_is_asked_about_or_worked_upon_is_compared_as_it_stands(text: str) -> None:
    assert essentials(f" {text}\n") == essentials(text) == (text,)


@pytest.mark.parametrize(
    ("system", "plain"),
    [
        ("Translate what the user says into German.", False),
        ("Correct the user's grammar.", False),
        ("Traduis en anglais.", False),
        ("You help customers of a bank. Be correct and use few words.", True),
    ],
)
def test_after_an_order_to_work_upon_texts_nothing_is_found_by_meaning(
    system: str, plain: bool
) -> None:
    for role in ("system", "user"):
        told = {"role": role, "content": system}
        asked = {"role": "user", "content": "Where is the dog?"}
        assert (question_of([told, asked]) is not None) is plain


def test_the_same_text_needs_no_embedding_and_the_nearest_is_named() -> None:
    embedder = Vectors({"Where is it?": [1.0, 0.0], "Where is it": [0.8, 0.6]})
    made = cache(embedder)
    assert kept_and_found(made, "Where is it?", "Where is it?") == Nearest(
        1.0, "call-1", {"answer": 1}
    )
    assert embedder.asked == []
    far = kept_and_found(made, "Where is it?", "Where is it")
    assert far is not None
    assert (far.value, far.call_id, round(far.similarity, 6)) == (None, "call-1", 0.8)
    assert kept_and_found(cache(embedder, min_similarity=0.7), "Where is it?", "Where is it") == (
        Nearest(0.8, "call-1", {"answer": 1})
    )


def test_another_scope_is_another_cache() -> None:
    assert kept_and_found(cache(), "Where is it?", "Where is it?", scope="other") is None


def test_an_entry_is_forgotten_when_it_is_too_old_or_the_cache_is_full() -> None:
    async def scenario() -> list[Nearest | None]:
        made = cache(max_entries=2)
        now = [0.0]
        made._clock = lambda: now[0]
        for n, text in enumerate(("first?", "second?", "third?")):
            await made.keep("s", text, {"n": n}, text)
        full = [await made.find("s", text, WHO) for text in ("first?", "second?", "third?")]
        now[0] = 3600.0
        return [*full, await made.find("s", "third?", WHO)]

    first, second, third, old = asyncio.run(scenario())
    assert (first, old) == (None, None)
    assert second is not None and third is not None


def test_a_similarity_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"above 0 and at most 1, not 95"):
        cache(min_similarity=95)


# The whole gateway, with the real model.

CONFIG = """\
auth: {{keys: required}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
pools:
  - {{name: main, targets: [{{provider: up, model: fake}}], retries: {{attempts: 1}}}}
routes:
  - {{name: cached, pool: main, cache: {{use: semantic, options: {{min_similarity: 0.9}}}}}}
"""


@dataclass
class Site:
    server: Server
    fake: Upstream
    keys: dict[str, str]

    def asked(self, tenant: str, text: str, **more: Any) -> tuple[str, str, dict[str, Any]]:
        """Answer, ``x-headgate-cache`` and the call's record."""
        key = self.keys[tenant]
        with openai.OpenAI(base_url=f"{self.server.url}/v1", api_key=key, max_retries=0) as client:
            response = client.chat.completions.with_raw_response.create(
                model="cached", messages=more.pop("messages", None) or user(text), **more
            )
            parsed: Any = response.parse()
            if more.get("stream"):
                deltas = [c.delta.content or "" for item in parsed for c in item.choices]
                answer = "".join(deltas)
            else:
                answer = parsed.choices[0].message.content
        headers = {"Authorization": f"Bearer {key}"}
        _, call = self.server.get(f"/v1/calls/{response.headers['x-request-id']}", headers)
        return answer, response.headers["x-headgate-cache"], call


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("semantic")
    with upstream(says("ok")) as fake:
        config = write_config(folder, CONFIG.format(url=fake.url))
        keys = {}
        for tenant in ("one", "two"):
            made = headgate(
                "keys", "create", "--name", tenant, "--tenant", tenant, "--config", str(config)
            )
            keys[tenant] = made.stdout.strip()
        with serving(config) as server:
            yield Site(server, fake, keys)


@pytest.mark.slow
def test_another_wording_is_a_hit_streamed_or_not_and_on_record(site: Site) -> None:
    site.fake.answers[:] = [says("In the ", "settings.")]
    before = len(site.fake.seen)
    first = site.asked("one", "How do I reset my password?")
    assert first[1] == "miss"
    answer, cache_said, call = site.asked("one", "How can I reset my password?")
    assert (answer, cache_said) == ("In the settings.", "hit")
    assert 0.9 <= call["cache_similarity"] <= 1
    assert call["cache_nearest"] == first[2]["call_id"]
    assert (call["attempts"], call["cost_pico"]) == ([], 0)
    answer, cache_said, _ = site.asked("one", "How do I reset the password?", stream=True)
    assert (answer, cache_said) == ("In the settings.", "hit")
    assert len(site.fake.seen) == before + 1


@pytest.mark.slow
@pytest.mark.parametrize("text", ["Who approves travel?", "Who approves the travel?"])
def test_no_tenant_gets_what_another_one_was_answered(site: Site, text: str) -> None:
    site.fake.answers[:] = [says("for one")]
    of_one = site.asked("one", "Who approves travel?")[2]["call_id"]
    site.fake.answers[:] = [says("for two"), says("unexpected")]
    answer, _, call = site.asked("two", text)
    assert answer == "for two"
    assert call.get("cache_nearest") != of_one
    again = site.asked("one", "Who approves travel?")
    assert again[:2] == ("for one", "hit")


@pytest.mark.slow
def test_the_rest_of_the_conversation_and_the_parameters_must_be_the_same(site: Site) -> None:
    site.fake.answers[:] = [says("ok")]
    turns = [
        [{"role": "system", "content": s}, {"role": "user", "content": "And in winter?"}]
        for s in ("You sell skis.", "You sell boats.")
    ]
    assert [site.asked("one", "", messages=t)[1] for t in turns] == ["miss", "miss"]
    assert site.asked("one", "", messages=turns[0])[1] == "hit"
    assert site.asked("one", "", messages=turns[0], temperature=1)[1] == "miss"


@pytest.mark.slow
def test_an_image_is_never_found_by_meaning(site: Site) -> None:
    def shown(url: str) -> list[dict[str, Any]]:
        image = {"type": "image_url", "image_url": {"url": url}}
        return [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]

    a, b = shown("https://example.com/a.png"), shown("https://example.com/b.png")
    said = [site.asked("one", "", messages=m)[1] for m in (a, b, a)]
    assert said == ["miss", "miss", "hit"]
