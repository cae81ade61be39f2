"""What is wrong with the options of a provider that speaks HTTP, said at start."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from headgate_core.errors import ConfigurationError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What the name of a header may be."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def authorities(path: str) -> ssl.SSLContext:
    """Trust in the certificates of a PEM file alone. Raises ``ConfigurationError``."""
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"`ca_file`: {path} cannot be read as certificates in PEM form ({error})."
        ) from error


def insist_on_address(base_url: str) -> None:
    """Raises ``ConfigurationError`` for what is no ``http://HOST…`` or ``https://HOST…``, and for
    one that goes on behind its path."""
    parts = _http(base_url)
    if parts is None:
        raise ConfigurationError(
            "`base_url`: expected an address such as https://api.openai.com/v1, "
            f"found {base_url!r}."
        )
    if "?" in base_url or "#" in base_url:
        raise ConfigurationError(
            "`base_url` ends where `/chat/completions` begins, without `?` or `#`; write what "
            "follows a `?` as the option `query`, for example `query: {api-version: …}`."
        )


def insist_on_proxy(proxy: str) -> None:
    """Raises ``ConfigurationError`` for what is no HTTP proxy; it may hold a password."""
    if proxy and _http(proxy) is None:
        scheme = proxy.partition("://")[0] if "://" in proxy else "no scheme"
        raise ConfigurationError(
            "`proxy`: expected the address of an HTTP proxy such as "
            f"http://proxy.example.com:3128, found {scheme}."
        )


def insist_on_headers(option: str, headers: Iterable[tuple[str, str]]) -> None:
    """Raises ``ConfigurationError`` for names and values that no request can be sent with.

    The values may be secrets and are not shown.
    """
    for name, value in headers:
        if _NAME.fullmatch(name) is None:
            raise ConfigurationError(f"`{option}`: {name!r} cannot be the name of a header.")
        if _CONTROL.search(value):
            raise ConfigurationError(
                f"`{option}`: the value for the header {name} holds a line break or another "
                "control character; take it out where the value is kept."
            )


def insist_on_size(max_reply_mb: float) -> None:
    """Raises ``ConfigurationError`` for a bound that no reply could keep."""
    if not (math.isfinite(max_reply_mb) and max_reply_mb > 0):
        raise ConfigurationError(
            f"`max_reply_mb`: expected a number of more than 0, found {max_reply_mb:g}."
        )


def _http(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        good = parts.port != 0
    except ValueError:
        return None
    good = good and parts.scheme in ("http", "https") and bool(parts.hostname)
    return parts if good and " " not in address else None
