"""``egress.allow`` of a gateway that runs: what is refused when, and that nothing slips past."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from collector import collector
from egress_world import FAR, NO_PROXIES, elsewhere, listing, local, moved
from running import Server, run, serving, until
from upstream import says, upstream

from headgate_core.egress import guard
from headgate_core.egress.allow import AllowList
from headgate_core.errors import EgressRefused, UpstreamUnreachable
from headgate_gateway.upstream.http import UpstreamHttp
from headgate_rag.process.handler import create

ENV = {**NO_PROXIES, "UP_KEY": "sk-upstream-secret"}


def redirecting(url: str) -> Any:
    async def redirects(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": url})

    return redirects


def refused(server: Server, model: str, host: str, **members: Any) -> None:
    """The call fails by the list; the log names the host, and the caller reads none."""
    status, body = server.chat(model, "hi", **members)
    assert (status, body["error"]["code"]) == (502, "egress_refused"), body
    assert "`egress.allow`" in body["error"]["message"]
    assert host not in str(body)
    assert f"may not connect to {host}" in server.log.read_text()
    assert ENV["UP_KEY"] not in str(body)


def said(server: Server) -> str:
    status, body = server.chat("plain", "hi")
    assert status == 200, body
    return str(body["choices"][0]["message"]["content"])


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_host_that_is_not_listed_stops_check_and_start(tmp_path: Path, command: str) -> None:
    config = listing(tmp_path, "http://localhost:9/v1", ["127.0.0.1"])
    done = run(command, "--config", str(config), env=ENV)
    assert done.returncode == 2
    assert f"{config}:4: `providers[0].options.base_url` connects to localhost:9" in done.stderr
    assert "add 'localhost:9'" in done.stderr
    assert f"{config}:5: " in done.stderr
    assert ENV["UP_KEY"] not in done.stderr
    assert "Traceback" not in done.stderr


def test_listed_hosts_are_served_and_no_redirect_or_variable_leads_elsewhere(
    tmp_path: Path,
) -> None:
    with upstream(says("near")) as fake, elsewhere() as far:
        config = listing(tmp_path, local(fake.url), ["localhost"])
        env = {**ENV, "OPENAI_BASE_URL": f"{far.url}/v1", "OPENAI_API_BASE": f"{far.url}/v1"}
        with serving(config, env=env) as server:
            for model in ("plain", "sdk"):
                status, body = server.chat(model, "hi")
                assert status == 200, body
            refused(server, "own", FAR)
            refused(server, "own", FAR, stream=True)
            refused(server, "claude", "api.anthropic.com")
            fake.answers[:] = [redirecting(f"{far.url}/v1/chat/completions")]
            for model in ("plain", "sdk"):  # nobody follows a redirect
                status, body = server.chat(model, "hi")
                assert (status, body["error"]["upstream_status"]) == (502, 307)
            assert far.asked == []
            log = server.log.read_text()
        assert f"may not connect to {FAR}:{far.server_port}" in log
        assert "add 'api.anthropic.com'" in log
        assert ENV["UP_KEY"] not in log


@pytest.mark.slow
def test_every_worker_keeps_to_the_list(tmp_path: Path) -> None:
    with elsewhere() as far:
        config = listing(tmp_path, "http://localhost:9/v1", ["localhost"])
        env = {**ENV, "OPENAI_BASE_URL": f"{far.url}/v1"}
        with serving(config, ["--workers", "2"], env=env) as server:
            for _ in range(6):
                refused(server, "own", FAR)
        assert far.asked == []


def test_a_proxy_must_be_listed_and_so_must_what_is_behind_it(tmp_path: Path) -> None:
    with elsewhere() as far:
        for entries, fault in (
            (["models.example.com"], f"proxy` connects to {FAR}:{far.server_port}"),
            ([FAR], "base_url` connects to models.example.com"),
            (["models.example.com", FAR], ""),
        ):
            config = listing(tmp_path, "http://models.example.com/v1", entries)
            proxied = 'models.example.com/v1", proxy: "' + far.url + '", api_keys'
            text = config.read_text().replace('models.example.com/v1", api_keys', proxied)
            config.write_text(text)
            done = run("check", "--config", str(config), env=ENV)
            assert (done.returncode, fault in done.stderr) == (2 if fault else 0, True), done.stderr
        with serving(config, env=ENV) as server:
            assert server.chat("plain", "hi")[0] == 200
        assert far.asked == ["http://models.example.com/v1/chat/completions"]


def test_the_environments_proxy_cannot_hide_a_host(tmp_path: Path) -> None:
    with elsewhere() as far:
        config = listing(tmp_path, "http://localhost:9/v1", ["localhost", FAR])
        done = run("serve", "--config", str(config), env={**ENV, "HTTPS_PROXY": far.url})
        assert done.returncode == 2
        assert "start the gateway without HTTPS_PROXY" in done.stderr


def test_a_reload_that_names_an_unlisted_host_is_refused_and_the_old_one_serves(
    tmp_path: Path,
) -> None:
    with upstream(says("near")) as fake, elsewhere() as far:
        config = listing(tmp_path, local(fake.url), ["localhost"])
        with serving(config, env=ENV) as server:
            listing(tmp_path, f"{far.url}/v1", ["localhost"])
            until(lambda: "not in `egress.allow`" in server.log.read_text())
            assert said(server) == "near"
            listing(tmp_path, f"{far.url}/v1", ["localhost", FAR])
            until(lambda: said(server) == "from afar")
            listing(tmp_path, local(fake.url), ["localhost"])
            until(lambda: said(server) == "near")


@pytest.mark.parametrize("before", [None, ["localhost", FAR]])
def test_a_host_taken_off_the_list_is_not_reached_over_a_connection_kept_open(
    tmp_path: Path, before: list[str] | None
) -> None:
    with elsewhere() as far:
        config = listing(tmp_path, "http://localhost:9/v1", before)
        env = {**ENV, "OPENAI_BASE_URL": f"{far.url}/v1"}
        with serving(config, env=env) as server:
            assert server.chat("own", "hi")[0] == 200
            listing(tmp_path, "http://localhost:9/v1", ["localhost"])
            until(lambda: server.chat("own", "hi")[0] == 502)
            asked = len(far.asked)
            refused(server, "own", FAR)
            assert len(far.asked) == asked
            listing(tmp_path, "http://localhost:9/v1", ["localhost", FAR])
            until(lambda: server.chat("own", "hi")[0] == 200)


def test_spans_go_to_a_listed_back_end(tmp_path: Path) -> None:
    more = "telemetry: {{otlp: [{{endpoint: '{url}'}}]}}\n"
    with upstream(says("near")) as fake, collector() as traces, elsewhere() as far:
        url = local(traces.endpoint)
        unlisted = listing(tmp_path, local(fake.url), ["localhost"], more.format(url=far.url))
        done = run("check", "--config", str(unlisted), env=ENV)
        assert done.returncode == 2
        assert f"`telemetry.otlp[0].endpoint` connects to {FAR}" in done.stderr
        config = listing(tmp_path, local(fake.url), ["localhost"], more.format(url=url))
        with serving(config, env=ENV) as server:
            assert server.chat("plain", "hi")[0] == 200
            assert traces.arrived.wait(20)


@pytest.mark.parametrize("entries", [None, ["localhost"]])
def test_spans_follow_no_redirect(tmp_path: Path, entries: list[str] | None) -> None:
    with elsewhere() as far, upstream(says("near")) as fake, moved(far.url) as endpoint:
        more = f"telemetry: {{otlp: [{{endpoint: '{local(endpoint)}'}}]}}\n"
        config = listing(tmp_path, local(fake.url), entries, more)
        with serving(config, env=ENV) as server:
            assert server.chat("plain", "hi")[0] == 200
            until(lambda: "did not take" in server.log.read_text())
        assert far.asked == []


def test_check_lists_every_host_that_the_list_is_asked_about(tmp_path: Path) -> None:
    more = "telemetry: {otlp: [{endpoint: 'http://traces.example.com:4318'}]}\n"
    config = listing(tmp_path, "http://models.example.com:8000/v1", None, more)
    text = config.read_text().replace(
        "options: {api_key: env:UP_KEY}",
        "options: {arguments: {aws_sts_endpoint: 'https://sts.example.com'}}",
    )
    config.write_text(text)
    done = run("check", "--egress", "--config", str(config), env=ENV)
    assert done.returncode == 0, done.stderr
    hosts = {line[20:60].strip() for line in done.stdout.splitlines()}
    named = {"models.example.com:8000", "sts.example.com", "traces.example.com:4318"}
    assert hosts == {
        *named,
        "(the SDK's own host for openai)",
        "(the SDK's own host for anthropic)",
    }


def test_what_is_behind_a_listed_proxy_is_asked_for_as_well() -> None:
    """A socket sees the proxy alone, so that our own client asks for the host behind it."""

    class Owner:
        """Somebody who wants a list."""

    async def ask(url: str, proxy: str) -> None:
        http = UpstreamHttp(proxy=proxy)
        try:
            await http.status(url, {})
        finally:
            await http.close()

    owner = Owner()
    guard.enforce(owner, AllowList.of([FAR, "listed.example.com"]))
    try:
        for scheme in ("http", "https"):
            with pytest.raises(EgressRefused, match=r"to models\.example\.com:8000:"):
                asyncio.run(ask(f"{scheme}://models.example.com:8000/v1/models", f"http://{FAR}:9"))
        with pytest.raises(EgressRefused, match=r"to proxy\.example\.com:3128:"):
            asyncio.run(ask("http://listed.example.com/v1", "http://proxy.example.com:3128"))
        with pytest.raises(UpstreamUnreachable, match="Cannot connect"):
            asyncio.run(ask("http://listed.example.com/v1", f"http://{FAR}:9"))
    finally:
        guard.release(owner)


def test_the_index_process_keeps_to_the_list_of_the_gateway_that_asks(tmp_path: Path) -> None:
    """Plugins that embed or index work there."""

    async def ask() -> None:
        index = create(tmp_path, {})
        try:
            for allow, free in (([FAR], True), ([], False), (None, True), (["localhost"], False)):
                await index.handle("status", {"egress": allow})
                await index.handle("status", {})
                assert guard.allows(FAR, 443) is free
        finally:
            await index.close()
            guard.release(index)

    asyncio.run(ask())
