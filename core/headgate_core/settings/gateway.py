"""``gateway.yaml`` as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, PrivateAttr

from headgate_core.settings.base import Settings
from headgate_core.settings.document import Document, Place
from headgate_core.settings.egress import EgressSettings
from headgate_core.settings.pools import PoolSettings, PriceSettings, ProviderSettings
from headgate_core.settings.retrieval import CollectionSettings
from headgate_core.settings.routes import (
    DefaultSettings,
    MetricSettings,
    RouteSettings,
    TeamSettings,
)
from headgate_core.settings.server import (
    AuthSettings,
    ServerSettings,
    StateSettings,
    StoreSettings,
    TelemetrySettings,
)


class GatewaySettings(Settings):
    """All that one gateway is made of; only ``pools`` must be there."""

    planned: ClassVar[dict[str, str]] = {"alerts": "alerts"}
    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    store: StoreSettings = StoreSettings()
    state: StateSettings = StateSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    egress: EgressSettings | None = None
    providers: list[ProviderSettings] = Field(default=[])
    prices: PriceSettings = PriceSettings()
    pools: list[PoolSettings] = Field(min_length=1)
    collections: list[CollectionSettings] = Field(default=[])
    metrics: list[MetricSettings] = Field(default=[])
    defaults: DefaultSettings = DefaultSettings()
    routes: list[RouteSettings] = Field(default=[])
    teams: list[TeamSettings] = Field(default=[])
    _path: Path = PrivateAttr(default=Path("configs/gateway.yaml"))
    _hash: str = PrivateAttr(default="")
    _data_dir: Path | None = PrivateAttr(default=None)
    _document: Document | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path:
        """The absolute path of the file that this was read from."""
        return self._path

    @property
    def folder(self) -> Path:
        """The folder that relative paths are relative to; prompts/ and guardrails/ lie in it."""
        return self._path.parent

    @property
    def hash(self) -> str:
        """SHA-256 over the effective configuration, first 12 hexadecimal digits."""
        return self._hash

    def place(self, *trail: str | int) -> Place:
        """The file and line of a member, or of the nearest thing above it."""
        return self._document.place(trail) if self._document else Place(self._path, 1)

    @property
    def data_dir(self) -> Path:
        """The folder of database, journals, indexes and sockets.

        It is the SQLite file's folder, else ``HEADGATE_DATA_DIR``, else ``var`` beside the file.
        """
        url = self.store.url
        if url.startswith("sqlite:///"):
            return Path(url.removeprefix("sqlite:///")).parent
        return self._data_dir or self.folder / "var"
