"""Feedback on calls: who may give it, what of it is kept, and where it is seen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from asking import client_of, user
from configs import write_config
from running import Server, headgate, serving, until

from headgate_gateway.http.own import ANOTHER_WORKER_S

pytestmark = pytest.mark.slow

CONFIG = """\
auth: {{keys: {keys}}}
providers: [{{name: echo, use: echo}}]
pools: [{{name: main, targets: [{{provider: echo, model: echo}}]}}]
routes:
  - {{name: plain, pool: main}}
  - {{name: masked, pool: main, capture: masked}}
  - {{name: full, pool: main, capture: full}}
"""
COMMENT = "Wrong. Mail me: jane.doe@example.com"


@dataclass
class Place:
    config: Path
    server: Server

    def ask(self, model: str = "plain", key: str = "none") -> str:
        """The id of a call that was just answered."""
        with client_of(self.server.url, key) as client:
            raw = client.chat.completions.with_raw_response.create(
                model=model, messages=user("hello")
            )
            return raw.headers["x-request-id"]

    def give(self, body: dict[str, Any], key: str = "none") -> dict[str, Any]:
        """Feedback through the official client; the stored object."""
        with client_of(self.server.url, key) as client:
            return client.post("/feedback", body=body, cast_to=dict[str, Any])

    def seen(self, call_id: str) -> list[dict[str, Any]]:
        """The feedback that is on the call's record."""
        status, record = self.server.get(f"/v1/calls/{call_id}")
        assert status == 200
        found: list[dict[str, Any]] = record["feedback"]
        return found

    def key(self, name: str) -> str:
        done = headgate("keys", "create", "--name", name, "--json", "--config", str(self.config))
        assert done.returncode == 0, done.stderr
        made: str = json.loads(done.stdout)["key"]
        return made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    config = write_config(tmp_path_factory.mktemp("feedback"), CONFIG.format(keys="open"))
    with serving(config) as server:
        yield Place(config, server)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("feedback-keyed")
    config = write_config(folder, CONFIG.format(keys="required"))
    with serving(config, ["--workers", "2"]) as server:
        yield Place(config, server)


@pytest.mark.parametrize(
    ("value", "kind"), [(True, "boolean"), (4.5, "numeric"), ("wrong source", "categorical")]
)
def test_feedback_right_after_the_reply_is_stored_and_seen_on_the_call(
    place: Place, value: Any, kind: str
) -> None:
    call_id = place.ask()
    stored = place.give({"call_id": call_id, "value": value})
    assert stored["object"] == "feedback" and stored["id"].startswith("fb_")
    assert (stored["value"], stored["data_type"]) == (value, kind)
    assert (stored["name"], stored["source"], stored["comment"]) == ("user", "person", None)
    assert isinstance(stored["created_at"], int)
    assert place.seen(call_id) == [stored]


def test_feedback_of_one_name_is_replaced_and_another_name_stands_beside_it(place: Place) -> None:
    call_id = place.ask()
    first = place.give({"call_id": call_id, "value": False})
    again = place.give({"call_id": call_id, "value": True})
    other = place.give({"call_id": call_id, "value": 3, "name": "tone", "source": "application"})
    assert again["id"] == first["id"] != other["id"]
    assert place.seen(call_id) == [again, other]


def test_the_same_feedback_sent_many_times_at_once_is_there_once(place: Place) -> None:
    call_id = place.ask()
    body = {"call_id": call_id, "value": True}
    with ThreadPoolExecutor(8) as pool:
        ids = {stored["id"] for stored in pool.map(place.give, [body] * 24)}
    assert len(ids) == 1
    assert [one["id"] for one in place.seen(call_id)] == list(ids)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"call_id": None}, "call_id"),
        ({"call_id": 7}, "call_id"),
        ({"value": None}, "value"),
        ({"value": ""}, "value"),
        ({"value": "x" * 101}, "value"),
        ({"value": "two\nlines"}, "value"),
        ({"value": [1]}, "value"),
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 3}, "name"),
        ({"comment": 3}, "comment"),
        ({"comment": "x" * 4001}, "comment"),
        ({"source": "robot"}, "source"),
        ({"rating": 5}, "rating"),
    ],
)
def test_a_member_that_is_wrong_is_named_and_nothing_is_stored(
    place: Place, change: dict[str, Any], param: str
) -> None:
    call_id = place.ask()
    with pytest.raises(openai.BadRequestError) as raised:
        place.give({"call_id": call_id, "value": True, **change})
    assert (raised.value.param, raised.value.code) == (param, "invalid_request")
    assert place.seen(call_id) == []


def test_an_unknown_member_is_told_the_nearest_one(place: Place) -> None:
    with pytest.raises(openai.BadRequestError, match="Did you mean 'comment'"):
        place.give({"call_id": place.ask(), "value": 1, "coment": "x"})


def test_a_body_that_is_no_json_object_and_another_method_are_errors(place: Place) -> None:
    assert place.server.post("/v1/feedback", b"[1, 2")[0] == 400
    assert place.server.post("/v1/feedback", [1])[0] == 400
    status, body = place.server.get("/v1/feedback")
    assert (status, body["error"]["code"]) == (405, "method_not_allowed")


def test_a_page_of_another_origin_cannot_give_feedback_in_somebodys_name(place: Place) -> None:
    body = {"call_id": place.ask(), "value": False}
    headers = {"Origin": "https://evil.example.com"}
    status, answer = place.server.post("/v1/feedback", body, headers)
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


def test_calls_of_others_and_calls_that_are_not_there_cannot_be_told_apart(keyed: Place) -> None:
    mine, other = keyed.key("mine"), keyed.key("other")
    call_id = keyed.ask(key=mine)
    messages = []
    for key, asked in ((other, call_id), (mine, "f" + call_id[1:])):
        begun = time.monotonic()
        with pytest.raises(openai.NotFoundError) as raised:
            keyed.give({"call_id": asked, "value": True}, key)
        assert time.monotonic() - begun >= ANOTHER_WORKER_S, "neither is answered sooner"
        assert (raised.value.code, raised.value.param) == ("call_not_found", "call_id")
        messages.append(raised.value.message.replace(asked, "ID"))
    assert len(set(messages)) == 1
    with pytest.raises(openai.NotFoundError, match="a whole one is needed"):
        keyed.give({"call_id": call_id[:8], "value": True}, mine)
    with pytest.raises(openai.AuthenticationError):
        keyed.give({"call_id": call_id, "value": True}, "hg-unknown")
    assert keyed.give({"call_id": call_id, "value": True}, mine)["value"] is True


def test_with_two_workers_feedback_right_after_a_reply_is_never_too_early(keyed: Place) -> None:
    key = keyed.key("eager")
    for n in range(20):
        call_id = keyed.ask(key=key)
        assert keyed.give({"call_id": call_id, "value": n}, key)["value"] == n


def test_feedback_that_was_answered_survives_a_kill(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG.format(keys="open"))
    with serving(config) as server:
        place = Place(config, server)
        call_id = place.ask()
        stored = place.give({"call_id": call_id, "value": False})
        server.kill()
    with serving(config) as server:
        assert Place(config, server).seen(call_id) == [stored]


@pytest.mark.parametrize(
    ("route", "comment", "status"),
    [
        ("plain", None, "not_captured"),
        ("masked", "Wrong. Mail me: [EMAIL]", "masked"),
        ("full", COMMENT, "kept"),
    ],
)
def test_a_comment_is_kept_as_the_capture_of_the_route_says(
    place: Place, route: str, comment: str | None, status: str
) -> None:
    call_id = place.ask(route)
    stored = place.give({"call_id": call_id, "value": False, "comment": COMMENT})
    found = (stored["comment"], stored["comment_status"], stored["value"])
    assert found == (comment, status, False)
    assert place.seen(call_id) == [stored]


def test_a_comment_that_was_left_out_is_named_in_a_header(place: Place) -> None:
    body = {"call_id": place.ask(), "value": False, "comment": COMMENT}
    with client_of(place.server.url) as client:
        response = client.post("/feedback", body=body, cast_to=httpx.Response)
    assert response.headers["x-headgate-dropped"] == "comment"


def test_a_route_that_keeps_less_now_than_at_the_time_of_the_call_decides(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG.format(keys="open"))
    with serving(config) as server:
        place = Place(config, server)
        calls = {route: place.ask(route) for route in ("plain", "masked", "full")}
    text = config.read_text().replace("capture: masked", "capture: none")
    config.write_text(text.replace("capture: full", "capture: masked"))
    with serving(config) as server:
        place = Place(config, server)
        found = {
            route: place.give({"call_id": call_id, "value": 1, "comment": COMMENT})
            for route, call_id in calls.items()
        }
    assert {route: one["comment_status"] for route, one in found.items()} == {
        "plain": "not_captured",
        "masked": "not_captured",
        "full": "masked",
    }


def stored(place: Place, call_id: str) -> str:
    """The call, once it is in the store."""
    until(lambda: command(place, "traces", "show", call_id)[0] == 0)
    return call_id


def command(place: Place, *arguments: str) -> tuple[int, str, str]:
    done = headgate(*arguments, "--config", str(place.config))
    return done.returncode, done.stdout, done.stderr


def test_a_reviewer_scores_on_the_command_line_beside_the_application(place: Place) -> None:
    call_id = stored(place, place.ask("masked"))
    place.give({"call_id": call_id, "value": True})
    arguments = ("--name", "user", "--value", "wrong source", "--comment", COMMENT)
    assert command(place, "score", call_id, *arguments)[0] == 0
    code, shown, _ = command(place, "score", call_id, "--value", "FALSE", "--json")
    assert (code, json.loads(shown)["value"]) == (0, False)
    place_seen = place.seen(call_id)
    assert [one["value"] for one in place_seen] == [True, False]
    arguments = ("--name", "tone", "--value", "4", "--comment", COMMENT)
    assert command(place, "score", call_id[:-1], *arguments)[0] == 0
    _, picture, _ = command(place, "traces", "show", call_id)
    lines = [line.strip() for line in picture.splitlines()]
    at = lines.index("Feedback")
    assert lines[at + 1 : at + 4] == [
        "user: true, by person",
        "user: false, by person",
        'tone: 4, by person: "Wrong. Mail me: [EMAIL]" (masked)',
    ]


def test_the_command_line_says_what_is_wrong_and_what_was_left_out(place: Place) -> None:
    code, _, said = command(place, "score", "ffff", "--value", "1")
    assert code == 1 and "There is no call 'ffff'" in said
    call_id = stored(place, place.ask())
    code, _, said = command(place, "score", call_id, "--value", "1", "--name", "")
    assert code == 1 and "`name` must have" in said
    code, _, said = command(place, "score", call_id, "--value", "1", "--comment", "hm")
    assert code == 0 and "The comment was not kept" in said
