"""A redirect of a hosted provider takes neither key nor prompt to another host."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosted_bodies import DIALECTS, Dialect
from hosted_checks import SDK_WARNINGS
from hosted_world import with_hosted
from in_process import Place
from raw_upstream import Exchange, RawUpstream, raw_upstream

pytestmark = SDK_WARNINGS


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("one", DIALECTS, ids=str)
def test_a_redirect_is_an_error_and_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect, stream: bool
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        async def unwanted(exchange: Exchange) -> None:
            await exchange.json(404, b"{}")

        async with raw_upstream(unwanted) as other:
            for status in (301, 302, 303, 307, 308):

                async def away(exchange: Exchange, status: int = status) -> None:
                    location = f"Location: {other.url}/elsewhere\r\n"
                    await exchange.json(status, b"{}", location)

                fake.script = away
                error = (await place.chat(one.name, stream=stream)).json["error"]
                assert error["upstream_status"] == status, error
                assert error["message"] == f"The upstream answered {status}."
            assert other.accepted == 0

    with_hosted(tmp_path, monkeypatch, ask)
