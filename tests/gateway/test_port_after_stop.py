"""A gateway that has ended leaves no port behind, whatever helper it started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from configs import proxy_config
from running import serving
from upstream import says, upstream

from headgate_core.errors import ConfigurationError
from headgate_gateway.providers.openai_compatible import OpenaiCompatible


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_port_is_free_again_at_once(tmp_path: Path, workers: str) -> None:
    with upstream(says("ok")) as fake:
        config = proxy_config(tmp_path, fake.url)
        text = config.read_text().replace(
            "{name: safe, pool: guarded}",
            "{name: safe, pool: guarded}\n"
            "  - {name: counted, pool: main, limits: {requests_per_minute: 100}}",
        )
        embedders = "  - {name: here, use: local_embeddings}\n  - {name: echo, use: echo}\n"
        text = text.replace("  - {name: echo, use: echo}\n", embedders)
        text = text.replace(
            "pools:\n",
            "pools:\n  - {name: minilm, serves: embeddings, targets: "
            "[{provider: here, model: all-MiniLM-L6-v2}]}\n",
        )
        config.write_text(text)
        with serving(config, ["--workers", workers]) as server:
            assert server.chat("counted", "hi")[0] == 200
            vectors = server.post("/v1/embeddings", {"model": "minilm", "input": "hi"})
            assert vectors[0] == 200, vectors
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", server.port))
            listener.listen()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8000",
        "localhost:8000/v1",
        "http//127.0.0.1/v1",
        "ftp://127.0.0.1/v1",
        "http://",
        "",
        "http://127.0.0.1:99999/v1",
        "http://a host/v1",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="expected an address such as"):
        OpenaiCompatible(base_url=address)
