"""Sorts the members of a reply: texts that are followed elsewhere, texts, labels, and the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from headgate_core.types import Json
from headgate_gateway.replies.first_pieces import FirstPieces
from headgate_gateway.replies.texts import is_data_url, is_text, number

Leaf: TypeAlias = Literal["text", "label", "slot"]
"""What a string in a tree is: a text to check, a label, or a text that a slot leads to."""

_DEEPEST = 32
_ENVELOPE = frozenset({"id", "object", "model", "system_fingerprint", "service_tier"})
_REASONS = frozenset({"finish_reason", "native_finish_reason", "stop_reason"})
_FOLLOWED = frozenset({"content", "reasoning_content", "reasoning", "refusal"})
SPELLED = frozenset({"logprobs", "prompt_logprobs", "token_ids", "prompt_token_ids"})
"""The text once more, token by token."""
_PADDING = frozenset({"obfuscation"})
"""Random characters that hide a chunk's length; nobody misses them."""
KNOWN = (
    _ENVELOPE
    | _REASONS
    | _FOLLOWED
    | {"created", "choices", "usage", "index", "delta", "message", "role", "annotations", "type"}
    | {"tool_calls", "function_call", "audio", "function", "custom", "name", "arguments", "input"}
    | {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"}
    | {"completion_tokens_details", "cached_tokens", "reasoning_tokens", "audio_tokens", "data"}
    | {"accepted_prediction_tokens", "rejected_prediction_tokens", "url_citation", "url", "title"}
    | SPELLED
    | {
        "choice",
        "start_index",
        "end_index",
        "transcript",
        "expires_at",
        "text",
        "signature",
        "thinking",
    }
)
"""Names of members that need no check."""


class Place(NamedTuple):
    """A string, where it stands: under ``member`` of ``holder``."""

    holder: Any
    member: Any
    trail: str


class NamePlace(NamedTuple):
    """The name of a function or tool that the model calls."""

    choice: int
    call: str
    holder: Json
    trail: str


@dataclass(slots=True)
class Walk:
    """One body, sorted. What no check can read is taken out at once and stands in ``out``."""

    stream: bool
    firsts: FirstPieces
    """What has come of this reply; asked in a stream."""
    texts: list[Place] = field(default_factory=list)
    """Texts that come whole."""
    labels: list[Place] = field(default_factory=list)
    """Strings that pass unchanged or not at all."""
    keys: list[Place] = field(default_factory=list)
    """Members whose own names are unknown."""
    names: list[NamePlace] = field(default_factory=list)
    out: list[Place] = field(default_factory=list)
    _owner: str = ""
    """What in a stream the strings belong to that come in one piece each, empty = nothing."""

    def one_holder(self, body: Json) -> None:
        """Leave one member that holds a choice's message: some servers send it in two forms."""
        own, other = ("delta", "message") if self.stream else ("message", "delta")
        for choice in body.get("choices") or ():
            if other in choice:
                found = choice.pop(other)
                if not choice.get(own):
                    choice[own] = found
                elif found:
                    self.out.append(Place(choice, other, f"choice.{other}"))

    def body(self, body: Json) -> None:
        """Sort all of it."""
        for key in list(body):
            if key in _ENVELOPE and isinstance(body[key], str):
                self.labels.append(Place(body, key, key))
            elif key == "usage":
                self._tree(body, key, key, "label")
            elif key != "choices":
                self._other(body, key, key)
        for choice in body.get("choices") or ():
            self._choice(choice)

    def _choice(self, choice: Json) -> None:
        holder = "delta" if self.stream else "message"
        for key in list(choice):
            if key in _REASONS and isinstance(choice[key], str):
                self.labels.append(Place(choice, key, key))
            elif key == "logprobs":
                if choice[key]:
                    self.out.append(Place(choice, key, key))
                    choice[key] = None
            elif key not in ("index", holder):
                self._other(choice, key, f"choice.{key}")
        for key in list(choice.get(holder) or ()):
            self._member(number(choice), choice[holder], key, f"{holder}.{key}")

    def _member(self, choice: int, holder: Json, key: str, trail: str) -> None:
        value = holder[key]
        if isinstance(value, str) and key in _FOLLOWED:
            return
        if isinstance(value, str) and key == "role":
            self._begin(f"{choice}")
            self._tree(holder, key, trail, "label")
        elif isinstance(value, list) and key == "tool_calls":
            for position, call in enumerate(value):
                self._call(choice, position, call, trail)
        elif isinstance(value, dict) and key in ("function_call", "audio"):
            self._nested(choice, key, value, trail)
        elif not self.stream:
            self._tree(holder, key, trail, "slot")
        else:
            self._streamed(choice, holder, key, trail)
        self._owner = ""

    def _streamed(self, choice: int, holder: Json, key: str, trail: str) -> None:
        if key == "annotations" and isinstance(holder[key], list):
            for position, note in enumerate(holder[key]):
                if isinstance(note, dict):
                    self._annotation(choice, note, trail)
                elif note:
                    self._take_out(holder[key], position, trail)
        else:
            self._other(holder, key, trail)

    def _begin(self, owner: str) -> None:
        if self.stream:
            self._owner = owner
            self.firsts.begin()

    def _annotation(self, choice: int, note: Json, trail: str) -> None:
        self._begin(f"{choice} annotation {self.firsts.annotation(choice, note)}")
        for key in list(note):
            if key != "index":
                self._tree(note, key, f"{trail}.{key}", "text")

    def _nested(self, choice: int, key: str, value: Json, trail: str) -> None:
        self._begin(f"{choice}")
        if key == "audio":
            self._audio(value, trail)
        else:
            self._function(choice, key, value, trail)

    def _call(self, choice: int, position: int, call: Json, trail: str) -> None:
        index = call.get("index")
        at = index if self.stream and isinstance(index, int) else position
        self._begin(f"{choice} {at}")
        for key in list(call):
            value = call[key]
            if key in ("id", "type") and isinstance(value, str):
                self._tree(call, key, f"{trail}.{key}", "label")
            elif key in ("function", "custom") and isinstance(value, dict):
                self._function(choice, f"{at} {key}", value, f"{trail}.{key}")
            elif key != "index":
                self._tree(call, key, f"{trail}.{key}", self._rest)

    def _function(self, choice: int, call: str, holder: Json, trail: str) -> None:
        said = "input" if call.endswith("custom") else "arguments"
        for key in list(holder):
            value = holder[key]
            if key == "name" and isinstance(value, str):
                if value:
                    self.names.append(NamePlace(choice, call, holder, f"{trail}.name"))
            elif not (key == said and isinstance(value, str)):
                self._tree(holder, key, f"{trail}.{key}", self._rest)

    def _audio(self, audio: Json, trail: str) -> None:
        """Its transcript is checked, and its sound says the same."""
        for key in list(audio):
            if key == "data" and audio[key]:
                self._take_out(audio, key, f"{trail}.{key}")
            elif not (key == "transcript" and isinstance(audio[key], str)):
                self._tree(audio, key, f"{trail}.{key}", self._rest)

    @property
    def _rest(self) -> Leaf:
        """Strings beside the known ones: of a stream they cannot be followed."""
        return "label" if self.stream else "slot"

    def _other(self, holder: Json, key: str, trail: str) -> None:
        """An unknown member of a body, a choice or a delta."""
        value = holder[key]
        if key in _PADDING:
            del holder[key]
        elif value and (key in SPELLED or (self.stream and isinstance(value, str | dict | list))):
            self._take_out(holder, key, trail)
        else:
            self._tree(holder, key, trail, "text")

    def _tree(self, holder: Any, key: Any, trail: str, leaf: Leaf, depth: int = 0) -> None:
        value = holder[key]
        if isinstance(key, str) and key not in KNOWN:
            self.keys.append(Place(holder, key, trail))
        if isinstance(value, str):
            if self._only_once(holder, key, trail):
                self._string(Place(holder, key, trail), value, leaf)
        elif isinstance(value, dict | list) and value:
            if depth == _DEEPEST or key in SPELLED:
                self._take_out(holder, key, trail)
                return
            if isinstance(holder, list):  # clients join objects of a list, as their `index` says
                self.firsts.begin()
            for inner in list(value) if isinstance(value, dict) else range(len(value)):
                here = f"{trail}.{inner}" if isinstance(value, dict) else trail
                self._tree(value, inner, here, leaf, depth + 1)

    def _only_once(self, holder: Any, key: Any, trail: str) -> bool:
        """Whether a string may go out; a stream's next piece of it is taken out."""
        value = holder[key]
        if not (self._owner and value):
            return True
        came = self.firsts.came(self._owner, trail, value)
        if came == "more":
            self.out.append(Place(holder, key, trail))
        if came != "first":
            take_out(holder, key)
        return came == "first"

    def _string(self, place: Place, value: str, leaf: Leaf) -> None:
        if not value:
            return
        if is_data_url(place.member, value):
            self._take_out(*place)
        elif leaf == "label" or not is_text(place.member, value):
            self.labels.append(place)
        elif leaf == "text":
            self.texts.append(place)

    def _take_out(self, holder: Any, key: Any, trail: str) -> None:
        self.out.append(Place(holder, key, trail))
        take_out(holder, key)


def take_out(holder: Any, key: Any) -> None:
    """Remove a member; an item of a list is emptied, for the others must keep their places."""
    if isinstance(holder, list):
        holder[key] = None
    else:
        holder.pop(key, None)
