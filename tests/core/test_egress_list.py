"""``egress.allow``: what an entry may be, what it allows, and which configurations it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headgate_core.egress.allow import AllowList
from headgate_core.errors import ConfigurationError
from headgate_core.settings.load import load_settings
from headgate_core.settings.schema import text as schema_of

HEAD = """\
providers:
  - {name: up, use: openai_compatible, options: {base_url: "https://models.example.com/v1"}}
pools: [{name: main, targets: [{provider: up, model: m}]}]
"""


def problems(folder: Path, text: str) -> list[str]:
    """Line and words of every fault of a configuration."""
    file = folder / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        load_settings(file)
    except ConfigurationError as error:
        return [f"{p.line}: {p.message}" for p in error.problems]
    return []


def listed(*entries: str) -> str:
    return f"egress: {{allow: {json.dumps(entries)}}}\n"


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


ALLOWED = [
    ("api.openai.com", "api.openai.com", 443),
    ("api.openai.com", "API.OpenAI.com.", 80),
    ("API.openai.com.", "api.openai.com", 443),
    ("vllm:8000", "vllm", 8000),
    ("*.example.com", "a.example.com", 443),
    ("*.example.com", "b.a.example.com", 443),
    ("*.example.com:443", "a.example.com", 443),
    ("10.0.0.5", "10.0.0.5", 1),
    ("10.0.0.5:8000", "10.0.0.5", 8000),
    ("10.0.0.5", "::ffff:10.0.0.5", 1),
    ("10.0.0.0/8", "10.255.0.1", 443),
    ("::1", "[::1]", 443),
    ("[::1]:8000", "0:0:0:0:0:0:0:1", 8000),
    ("fd00::/8", "fd12::1", 443),
    ("::ffff:10.0.0.0/104", "10.0.0.1", 443),
    ("::ffff:10.0.0.0/104", "::ffff:10.0.0.1", 443),
    ("xn--bcher-kva.example", "bücher.example", 443),
]
REFUSED = [
    ("api.openai.com", "api.openai.com.evil.example", 443),
    ("api.openai.com", "evil-api.openai.com", 443),
    ("api.openai.com", "openai.com", 443),
    ("vllm:8000", "vllm", 8001),
    ("*.example.com", "example.com", 443),
    ("*.example.com", "badexample.com", 443),
    ("*.example.com:443", "a.example.com", 80),
    ("10.0.0.5", "10.0.0.50", 1),
    ("10.0.0.0/8", "11.0.0.1", 443),
    ("10.0.0.0/8", "10.0.0.1.example.com", 443),
    ("10.0.0.0/8", "167772161", 443),
    ("127.0.0.1", "localhost", 80),
    ("localhost", "127.0.0.1", 80),
    ("127.0.0.1", "127.1", 80),
]


@pytest.mark.parametrize(("entry", "host", "port"), ALLOWED)
def test_an_entry_allows_what_it_names(entry: str, host: str, port: int) -> None:
    assert AllowList.of([entry]).allows(host, port)


@pytest.mark.parametrize(("entry", "host", "port"), REFUSED)
def test_an_entry_allows_nothing_else(entry: str, host: str, port: int) -> None:
    assert not AllowList.of([entry]).allows(host, port)
    assert not AllowList.of([]).allows(host, port)


MALFORMED = {
    "https://api.openai.com/v1": "whole address; write the host alone, api.openai.com",
    "http://vllm:8000/v1": "write the host alone, vllm:8000",
    "https://hidden@api.openai.com": "`https://api.openai.com` is a whole address",
    "api.openai.com/v1": "without a path",
    "*": "every host",
    "0.0.0.0/0": "every host",
    "::/0": "every host",
    "::0/0": "every host",
    "0000::/0": "every host",
    "::ffff:0:0/96": "every host",
    "*openai.com": "before a whole name",
    "api.*.com": "before a whole name",
    "*.*.example.com": "before a whole name",
    "10.0.0.1/8": "write the network, 10.0.0.0/8",
    "10.0.0.0/8:443": "a network without a port",
    "10.0.0.256": "is no host",
    "127.1": "is no host",
    "vllm:http": "from 1 to 65535",
    "vllm:70000": "from 1 to 65535",
    "vllm:": "from 1 to 65535",
    "two hosts": "is no host",
    "": "is no host",
    "user:hidden@host": "from 1 to 65535",
    "me@host": "holds a user",
    "bücher.example": "xn--bcher-kva.example",
    "faß.example": "on the wire, xn--…",
}


@pytest.mark.parametrize("entry", MALFORMED)
def test_a_malformed_entry_is_told_with_what_to_write(tmp_path: Path, entry: str) -> None:
    found = problems(tmp_path, HEAD + "egress:\n  allow:\n    - " + json.dumps(entry) + "\n")
    told = [one for one in found if one.startswith("6: ")]
    assert len(told) == 1
    assert MALFORMED[entry] in told[0]


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    for wrong in ("egress: {}", "egress: {allow: models.example.com}", "egress: {deny: []}"):
        assert problems(tmp_path, HEAD + wrong), wrong
    unquoted = problems(tmp_path, HEAD + "egress:\n  allow:\n    - *.example.com\n")
    assert len(unquoted) == 1
    assert unquoted[0].startswith("6: ")


def test_no_list_refuses_nothing_and_an_empty_one_everything(tmp_path: Path) -> None:
    assert problems(tmp_path, HEAD) == []
    found = problems(tmp_path, HEAD + listed())
    assert found == [
        "2: `providers[0].options.base_url` connects to models.example.com, which is not in "
        "`egress.allow`; add 'models.example.com' there, or take the address out."
    ]
    assert problems(tmp_path, HEAD + listed("*.example.com")) == []
    echo = "providers: [{name: e, use: echo}]\n"
    echo += "pools: [{name: main, targets: [{provider: e, model: m}]}]\n"
    assert problems(tmp_path, echo + listed()) == []


NAMED = {
    "a base_url": 'openai_compatible, options: {base_url: "http://far:8000/v1"}',
    "a base_url without a scheme": 'openai_compatible, options: {base_url: "far:8000/v1"}',
    "a proxy": 'openai_compatible, options: {base_url: "http://near/v1", proxy: "http://far:8000"}',
    "an api_base": 'litellm, options: {api_base: "http://far:8000"}',
    "an argument": 'litellm, options: {arguments: {aws_sts_endpoint: "http://far:8000"}}',
    "deep inside": 'litellm, options: {arguments: {a: {b: [{azure_endpoint: "far:8000"}]}}}',
    "the environment": "openai_compatible, options: {base_url: env:FAR}",
}


@pytest.mark.parametrize("name", NAMED)
def test_every_address_of_a_provider_must_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("FAR", "http://far:8000/v1")
    text = f"providers:\n  - {{name: up, use: {NAMED[name]}}}\n"
    text += "pools: [{name: main, targets: [{provider: up, model: openai/m}]}]\n"
    found = [one for one in problems(tmp_path, text + listed("near")) if "connects to" in one]
    assert len(found) == 1
    assert found[0].startswith("2: `providers[0].options.")
    assert "connects to far:8000" in found[0]
    assert "add 'far:8000'" in found[0]
    left = problems(tmp_path, text + listed("near", "far:8000"))
    assert not [one for one in left if "connects to" in one]


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql+psycopg://db/x", ["db"]),
        ("postgresql+psycopg://db:6000/x", ["db:6000"]),
        ("postgresql+psycopg://db/x?host=spare", ["db", "spare"]),
        ("postgresql+psycopg://db/x?hostaddr=10.0.0.9&port=7000", ["db:7000", "10.0.0.9:7000"]),
        ("postgresql+psycopg:///x?host=/run/postgresql", []),
        ("postgresql+psycopg:///x", ["from-the-environment"]),
    ],
)
def test_the_database_must_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, hosts: list[str]
) -> None:
    monkeypatch.setenv("PGHOST", "from-the-environment")
    text = HEAD + f'store: {{url: "{url}"}}\n'
    found = problems(tmp_path, text + listed("models.example.com"))
    assert len(found) == len(hosts)
    assert all(f"connects to {host}, which" in one for host, one in zip(hosts, found, strict=True))
    assert all(one.startswith("4: `store.url`") for one in found)
    assert problems(tmp_path, text + listed("models.example.com", *hosts)) == []


@pytest.mark.parametrize(
    ("name", "value", "url", "refused"),
    [
        ("PGPORT", "6000", "postgresql+psycopg://db/x", "db:6000"),
        ("PGPORT", "6000", "postgresql+psycopg://db:7000/x", "db:7000"),
        ("PGPORT", "6000", "postgresql+psycopg://db/x?port=7000", "db:7000"),
        ("PGHOSTADDR", "10.0.0.9", "postgresql+psycopg://near/x", "10.0.0.9"),
    ],
)
def test_the_environment_says_where_the_database_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, url: str, refused: str
) -> None:
    monkeypatch.setenv(name, value)
    text = HEAD + f'store: {{url: "{url}"}}\n'
    [found] = problems(tmp_path, text + listed("models.example.com", "near", "db:5432"))
    assert f"connects to {refused}, which" in found
    assert problems(tmp_path, text + listed("models.example.com", "near", refused)) == []


@pytest.mark.parametrize("url", ["postgresql+psycopg:///x", "postgresql+psycopg://db/x"])
def test_a_database_that_a_file_of_libpqs_names_cannot_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    text = HEAD + f'store: {{url: "{url}"}}\n' + listed("models.example.com", "db")
    assert problems(tmp_path, text) == []
    monkeypatch.setenv("PGSERVICE", "ours")
    assert len(problems(tmp_path, text)) == 1


def test_a_password_in_an_address_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE", "postgresql+psycopg://me:hidden@db/x")
    monkeypatch.setenv("UP", "http://me:hidden@far/v1")
    text = HEAD.replace('"https://models.example.com/v1"', "env:UP") + "store: {url: env:STORE}\n"
    found = problems(tmp_path, text + listed())
    assert len(found) == 2
    assert "hidden" not in str(found)


def test_an_otlp_back_end_must_be_listed_and_headers_name_no_host(tmp_path: Path) -> None:
    sent = 'headers: {referer: "https://ours.example.org"}'
    text = HEAD.replace('example.com/v1"', f'example.com/v1", {sent}')
    otlp = 'telemetry: {otlp: [{endpoint: "http://traces:4318"}]}\n'
    found = problems(tmp_path, text + otlp + listed("models.example.com"))
    assert len(found) == 1
    assert found[0].startswith("4: `telemetry.otlp[0].endpoint` connects to traces:4318")
    assert problems(tmp_path, text + otlp + listed("models.example.com", "traces")) == []


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_hides_hosts_from_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://me:hidden@proxy:3128")
    sdk = HEAD.replace("openai_compatible", "litellm").replace("base_url", "api_base")
    found = problems(tmp_path, sdk + listed("models.example.com", "proxy"))
    assert len(found) == 1
    assert f"without {variable}" in found[0]
    assert "hidden" not in found[0]
    assert problems(tmp_path, HEAD + listed("models.example.com")) == []
    assert problems(tmp_path, sdk) == []


def test_the_schema_knows_the_list() -> None:
    assert "EgressSettings" in json.loads(schema_of("gateway"))["$defs"]
