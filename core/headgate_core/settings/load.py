"""Reading the gateway's configuration: ``gateway.yaml`` and ``routes/*.yaml`` beside it."""

from __future__ import annotations

from pathlib import Path

from headgate_core.errors import ConfigurationError
from headgate_core.settings import environment, provenance, yaml_source
from headgate_core.settings.checks import cross_check
from headgate_core.settings.document import Document, Place
from headgate_core.settings.files import load_file, raise_problems, validate
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.pools import ProviderSettings
from headgate_core.settings.provenance import Explained
from headgate_core.settings.sources import file_options

__all__ = ["explain", "find_config", "load_file", "load_settings"]


def find_config(option: str | Path | None = None) -> Path:
    """The gateway file: ``option``, else ``HEADGATE_CONFIG``, else the usual places.

    Raises ``ConfigurationError`` saying what to do when there is none.
    """
    asked = Path(option).expanduser() if option else environment.config()
    if asked is not None:
        if asked.is_file():
            return asked
        source = "--config" if option else "HEADGATE_CONFIG"
        raise ConfigurationError(f"{source} names {asked}, but there is no such file.")
    for usual in (Path("configs/gateway.yaml"), Path("gateway.yaml")):
        if usual.is_file():
            return usual
    raise ConfigurationError(
        f"No configuration: there is neither configs/gateway.yaml nor gateway.yaml in "
        f"{Path.cwd()}. Write one, or name it with --config FILE or in HEADGATE_CONFIG."
    )


def load_settings(path: Path | str) -> GatewaySettings:
    """Read, validate and cross-check the gateway's configuration.

    Raises ``ConfigurationError`` with all problems of all its files.
    """
    path = Path(path)
    document = yaml_source.read(path)
    _read_routes(document)
    settings = validate(document, GatewaySettings)
    if settings is not None:
        settings._path = path.resolve()
        cross_check(settings, document)
    raise_problems(path, document.problems)
    assert settings is not None
    settings._document = document
    settings._hash = provenance.fingerprint(settings, document)
    return _rooted(settings, document)


def explain(settings: GatewaySettings) -> list[Explained]:
    """Every effective value with its source, for settings that ``load_settings`` made."""
    if settings._document is None:
        raise ValueError("these settings were not read from a file")
    return provenance.explain(settings, settings._document)


def _read_routes(document: Document) -> None:
    """Append the routes of ``routes/*.yaml``, each with the places of its own file."""
    data = document.data
    if not isinstance(data, dict):
        return
    for file in sorted((document.file.parent / "routes").glob("*.yaml")):
        found = yaml_source.read(file)
        document.problems.extend(found.problems)
        entries = found.data if isinstance(found.data, list) else [found.data]
        routes = data.setdefault("routes", [])
        if not isinstance(routes, list):
            return
        for index, entry in enumerate(entries):
            base = (index,) if isinstance(found.data, list) else ()
            _graft(document, found, base, len(routes))
            routes.append(entry)


def _graft(document: Document, found: Document, base: tuple[int, ...], index: int) -> None:
    for trail, place in found.places.items():
        if trail[: len(base)] == base:
            document.places["routes", index, *trail[len(base) :]] = place
    document.places.setdefault(("routes", index), Place(found.file, 1))


def _rooted(settings: GatewaySettings, document: Document) -> GatewaySettings:
    """The same settings with relative paths made absolute, from the folder of the file."""
    folder = settings.folder
    url = settings.store.url
    moved = environment.data()
    if moved is not None:
        settings._data_dir = moved.resolve()
        if ("store", "url") not in document.places:
            url = f"sqlite:///{settings._data_dir / 'headgate.db'}"
            document.moved["store", "url"] = "env:HEADGATE_DATA_DIR"
    if url.startswith("sqlite:///") and ":memory:" not in url:
        url = f"sqlite:///{(folder / url.removeprefix('sqlite:///')).resolve()}"
    rooted = settings.model_copy(
        update={
            "providers": [_at_home(provider, folder) for provider in settings.providers],
            "store": settings.store.model_copy(update={"url": url}),
            "collections": [
                one.model_copy(update={"sources": [(folder / s).resolve() for s in one.sources]})
                for one in settings.collections
            ],
        }
    )
    return rooted


def _at_home(provider: ProviderSettings, folder: Path) -> ProviderSettings:
    files = {
        name: str(folder / Path(path).expanduser())
        for name, path in file_options(provider.options).items()
    }
    return provider.model_copy(update={"options": provider.options | files})
