"""Event streams, cut anywhere: the events are those of the uncut stream."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from replay import cut, own_bodies, splits

from headgate_gateway import sse
from headgate_gateway.sse import SseEvent, SseSplitter, SseTooLarge

LINES = st.sampled_from(
    [b"data: {}", b"data:x", b"data: \xf0\x9f\x99\x82", b"data", b": c", b"event: e", b"id: 1", b""]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def events_of(pieces: list[bytes]) -> tuple[list[SseEvent], SseEvent | None]:
    splitter = SseSplitter()
    found = [event for piece in pieces for event in splitter.feed(piece)]
    return found, splitter.rest()


def by_the_standard(data: bytes) -> list[bytes]:
    """The data of each event, by the standard's own line-by-line algorithm."""
    found: list[bytes] = []
    lines: list[bytes] = []
    for line in re.split(rb"\r\n|\n|\r", data.removeprefix(b"\xef\xbb\xbf"))[:-1]:
        if line:
            lines.append(line)
            continue
        values = [x[5:].removeprefix(b" ") for x in lines if x.startswith(b"data:")]
        if values:
            found.append(b"\n".join(values))
        lines = []
    return found


@given(
    st.lists(st.tuples(LINES, ENDS), max_size=12),
    st.booleans(),
    st.lists(st.integers(0, 200), max_size=30),
)
@example([(b"data: x", b"\r\n"), (b"", b"\r\n"), (b"data: y", b"\r"), (b"", b"\r")], True, [8, 10])
def test_events_do_not_depend_on_where_the_network_cuts(
    lines: list[tuple[bytes, bytes]], bom: bool, at: list[int]
) -> None:
    data = (b"\xef\xbb\xbf" if bom else b"") + b"".join(line + end for line, end in lines)
    whole = events_of([data])
    assert events_of(cut(data, sorted({i for i in at if i < len(data)}))) == whole
    assert events_of([data[i : i + 1] for i in range(len(data))]) == whole


@given(st.lists(st.tuples(LINES, ENDS), max_size=12), st.booleans())
def test_events_are_those_of_the_standard(lines: list[tuple[bytes, bytes]], bom: bool) -> None:
    data = (b"\xef\xbb\xbf" if bom else b"") + b"".join(line + end for line, end in lines)
    found, _ = events_of([data])
    assert [e.data for e in found if e.data] == by_the_standard(data)


@pytest.mark.parametrize("body", own_bodies(), ids=str)
def test_every_shape_of_stream_survives_every_cut(body: object) -> None:
    data: bytes = body.data  # type: ignore[attr-defined]
    whole = events_of([data])
    for name, pieces in splits(data):
        assert events_of(pieces) == whole, name


def test_an_event_is_there_as_soon_as_its_end_is_whatever_the_line_end() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        assert [e.data for e in SseSplitter().feed(b"data: x" + end * 2)] == [b"x"]


def test_other_fields_and_comments_inside_an_event_are_kept_in_its_bytes() -> None:
    [event] = SseSplitter().feed(b"event: a\r\nid: 7\r\n: c\r\ndata: x\r\ndata: y\r\n\r\n")
    assert event == SseEvent(b"event: a\nid: 7\n: c\ndata: x\ndata: y\n\n", b"x\ny", b"a")


def test_an_event_without_an_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    splitter = SseSplitter()
    with pytest.raises(SseTooLarge):
        for _ in range(101):
            splitter.feed(b"x")
