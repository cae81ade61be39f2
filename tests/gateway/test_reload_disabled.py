"""A reload while the store is away leaves disabled targets disabled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from configs import PRICED, write_config
from in_process import opened

from headgate_core.errors import StoreError
from headgate_core.settings.load import load_settings
from headgate_core.store import Store
from headgate_gateway.operations import disabled
from headgate_gateway.operations.disabled import Disabled


def test_what_the_store_cannot_say_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_store: Store) -> list[Disabled]:
        raise StoreError("the store is away")

    async def story() -> None:
        config = write_config(tmp_path, PRICED.format(url="http://127.0.0.1:1/v1"))
        async with opened(config) as place:
            gateway = place.endpoints.gateway

            def state() -> str:
                return str(gateway.targets()[0]["state"])

            await asyncio.to_thread(disabled.disable, gateway.store, "up", "fake", 3600.0, "broken")
            await gateway.reload(load_settings(config))
            assert state() == "disabled"
            with monkeypatch.context() as patch:
                patch.setattr("headgate_gateway.operations.watch.disabled", away)
                for header in ("one", "two"):
                    text = PRICED.format(url="http://127.0.0.1:1/v1")
                    changed = text.replace('/v1"', f'/v1", headers: {{x: {header}}}')
                    assert changed != text
                    config.write_text(changed)
                    await gateway.reload(load_settings(config))
                    assert state() == "disabled"
            await asyncio.to_thread(disabled.enable, gateway.store, "up/fake")
            await gateway.reload(load_settings(config))
            assert state() == "closed"

    asyncio.run(story())
