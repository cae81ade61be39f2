"""``/admin/status`` and ``/admin/reload``."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from fastapi import APIRouter

from headgate_core.errors import ConfigurationError, RequestError, ServiceError
from headgate_core.types import Json
from headgate_gateway.operations.deployment import status, worker
from headgate_gateway.operations.live import workers
from headgate_gateway.reload.reloader import Again

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway

WORKERS_S = 60.0
"""How long a worker has for reading the files again."""
LOOK_S = 0.1


class ConfigurationRefused(RequestError):
    """The files hold a configuration that cannot be served; the one before it goes on serving."""

    status = 422
    code = "configuration_refused"


class ReloadIncomplete(ServiceError):
    """Some workers have not changed over; ``workers`` says what each serves."""

    status = 503
    code = "reload_incomplete"


def router(gateway: Gateway, again: Again) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["deployment"])

    @routes.get("/status")
    async def show() -> Json:
        """One look at the deployment, as ``headgate status --json``."""
        found = await asyncio.to_thread(status, gateway.data_dir, gateway.store)
        return {"config": gateway.settings.hash, **found}

    @routes.post("/reload")
    async def reload() -> Json:
        """Read the files again in every worker; answers when all serve by them."""
        before, since = gateway.settings.hash, time.time_ns()
        try:
            async with asyncio.timeout(WORKERS_S):
                error = await again()
        except TimeoutError:
            raise ReloadIncomplete(
                f"The files were not read within {WORKERS_S:g} s; the log holds the cause."
            ) from None
        if error is not None:
            raise _refused(error, before)
        serving = gateway.settings.hash
        found = await _all(gateway, serving, since)
        return {"before": before, "config": serving, "workers": found}

    return routes


def _refused(error: Exception, serving: str) -> Exception:
    if not isinstance(error, ConfigurationError):
        return error
    problems = [{"file": str(p.file), "line": p.line, "message": p.message} for p in error.problems]
    return ConfigurationRefused(
        f"{serving} goes on serving. {error}", extra={"serving": serving, "problems": problems}
    )


async def _all(gateway: Gateway, serving: str, since: int) -> list[Json]:
    """What the workers of this server serve, once all have read the files again.

    Raises ``ReloadIncomplete`` when one has not, or refuses them.
    """
    deadline = time.monotonic() + WORKERS_S
    while True:
        await gateway.publish()
        every = await asyncio.to_thread(workers, gateway.data_dir)
        ours = [w for w in every if w["server_pid"] == gateway.server_pid]
        late = [w for w in ours if w["loaded_unix_ns"] < since]
        if not any(_without(w, since) for w in late) or time.monotonic() > deadline:
            break
        await asyncio.sleep(LOOK_S)
    found = [{k: worker(w)[k] for k in ("pid", "config", "loaded", "refused")} for w in ours]
    if late or any(w["config"] != serving for w in ours):
        raise ReloadIncomplete(
            f"{len(late)} of {len(ours)} workers have not changed over.", extra={"workers": found}
        )
    return found


def _without(row: Json, since: int) -> bool:
    """Whether a worker has neither served nor refused the files since then."""
    refused = row["refused"]
    return refused is None or refused["at_unix_ns"] < since
