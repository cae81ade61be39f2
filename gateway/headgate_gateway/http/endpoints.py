"""The table of endpoints: nothing stands between it and the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from headgate_core.errors import HeadgateError, NotFound
from headgate_core.settings.gateway import GatewaySettings
from headgate_gateway.build import Gateway
from headgate_gateway.http import own
from headgate_gateway.http.admin.entry import AdminEntry
from headgate_gateway.http.asgi import MethodNotAllowed, Receive, Scope, Send
from headgate_gateway.http.chat import chat_completions
from headgate_gateway.http.dialect_call import dialect_call, refuse
from headgate_gateway.http.dialects.dialect import Dialect
from headgate_gateway.http.dialects.table import dialect_of
from headgate_gateway.http.doors import Doors
from headgate_gateway.http.feedback import give_feedback
from headgate_gateway.http.forward import PATHS, forward
from headgate_gateway.reload.reloader import Again

UNSERVED = (
    "/v1/completions/",
    "/v1/responses/",
    "/v1/files",
    "/v1/vector_stores",
    "/v1/audio",
    "/v1/images",
    "/v1/batches",
    "/v1/assistants",
    "/v1/threads",
    "/v1/realtime",
    "/v1/fine_tuning",
    "/v1/uploads",
    "/v1/containers",
    "/v1/conversations",
    "/v1/evals",
    "/v1/organization",
    "/v1/projects",
    "/v1/videos",
    "/v1/skills",
    "/v1/chatkit",
    "/v1/chat/completions/",
)
"""Paths of the OpenAI wire that answer in the envelope that they are not served."""

_WHY = {
    "/v1/chat/completions/": " It keeps no completions.",
    "/v1/responses/": " It keeps no responses: what an upstream keeps is read and deleted there.",
    "/v1/messages/count_tokens": " The usage of an answer counts its tokens.",
}


class Endpoints:
    """The endpoints of an open gateway; ``again`` has its configuration read again."""

    def __init__(self, gateway: Gateway, doors: Doors, again: Again) -> None:
        self.gateway = gateway
        self._doors = doors
        self._admin = AdminEntry(gateway, again)

    @classmethod
    async def open(cls, settings: GatewaySettings, doors: Doors, again: Again) -> Endpoints:
        """Open the gateway behind them. Raises ``ConfigurationError`` or ``StoreError``."""
        gateway = await Gateway.open(settings)
        await gateway.publish()
        return cls(gateway, doors, again)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Raises ``HeadgateError``."""
        path: str = scope["path"]
        if self._doors.asks_admin(scope):
            await self._admin(scope, receive, send)
            return
        if path == "/v1/chat/completions":
            _only(scope, "POST")
            await chat_completions(self.gateway, scope, receive, send)
            return
        if path in PATHS:
            _only(scope, "POST")
            await forward(self.gateway, scope, receive, send)
            return
        if (dialect := dialect_of(path)) is not None:
            await self._foreign(dialect, scope, receive, send)
            return
        if path == "/v1/feedback":
            _only(scope, "POST")
            await give_feedback(self.gateway, scope, receive, send)
            return
        await self._reading(path, scope)(send)

    async def _foreign(
        self, dialect: type[Dialect], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """A call in another dialect, whose errors come in that dialect too."""
        try:
            if scope["path"] != f"/v1/{dialect.path}":
                raise not_served(scope["path"])
            _only(scope, "POST")
        except HeadgateError as error:
            await refuse(send, error, dialect)
            return
        await dialect_call(self.gateway, scope, receive, send, dialect)

    def _reading(self, path: str, scope: Scope) -> Callable[[Send], Awaitable[None]]:
        gateway = self.gateway
        if path == "/v1/models":
            _only(scope, "GET")
            return lambda send: own.models(gateway, scope, send)
        if path.startswith("/v1/models/"):
            _only(scope, "GET")
            name = path.removeprefix("/v1/models/")
            return lambda send: own.model(gateway, scope, send, name)
        if path.startswith("/v1/calls/"):
            _only(scope, "GET")
            call_id = path.removeprefix("/v1/calls/")
            return lambda send: own.own_call(gateway, scope, send, call_id)
        if path.startswith(UNSERVED):
            raise not_served(path)
        raise NotFound(f"There is no {path} here.", code="unknown_path")


def not_served(path: str) -> NotFound:
    """The error of a path of a known wire that is not served."""
    why = next((words for part, words in _WHY.items() if path.startswith(part)), "")
    return NotFound(
        f"{path} is not served by this version of Headgate.{why}", code="endpoint_not_served"
    )


def _only(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise MethodNotAllowed(f"{scope['path']} takes {method}, not {scope['method']}.")
