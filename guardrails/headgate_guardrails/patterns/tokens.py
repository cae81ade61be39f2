"""Shapes of keys that name themselves: a prefix of their provider, a fixed length, an envelope."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from headgate_core.types import Span
from headgate_guardrails.patterns.entropy import bits, is_placeholder

LONGEST = 4096
"""Characters of a JWT, the longest of them."""


class Shape(NamedTuple):
    """One kind of key. Every key of the shape holds one of ``hints``, which are tried first."""

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    least_bits: float = 3.0


def _shape(kind: str, hints: str, pattern: str, least_bits: float = 3.0) -> Shape:
    whole = rf"(?<![A-Za-z0-9_]){pattern}(?![A-Za-z0-9_])"
    return Shape(kind, tuple(hints.split()), re.compile(whole), least_bits)


_SLACK_HOOK = r"(?<=hooks\.slack\.com/services/)T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{23,25}"

SHAPES: tuple[Shape, ...] = (
    _shape("headgate_key", "hg-", r"(?<!-)hg-[A-Za-z0-9_-]{20,200}"),
    _shape("anthropic_key", "sk-ant-", r"sk-ant-[a-z0-9]{3,12}-[A-Za-z0-9_-]{20,200}"),
    _shape("openai_key", "sk-", r"(?<!-)sk-(?!ant-)[A-Za-z0-9_-]{20,250}", 3.3),
    _shape("aws_key", "AKIA ASIA ABIA ACCA", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    _shape("aws_key", "ABSK", r"ABSK[A-Za-z0-9+/]{109,269}={0,2}"),
    _shape("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    _shape("github_token", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,255}"),
    _shape(
        "gitlab_token",
        "glp gld glr glc glf gla gls",
        r"gl(?:pat|dt|rt|cbt|ptt|ft|agent|soat)-[A-Za-z0-9_.-]{20,64}",
    ),
    _shape("slack_token", "xox", r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{20,200}"),
    _shape("slack_token", "xapp-", r"xapp-\d-[A-Z0-9]+-\d+-[A-Za-z0-9]{20,100}"),
    _shape("slack_token", "hooks.slack.com", _SLACK_HOOK),
    _shape("google_key", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _shape("google_token", "ya29.", r"ya29\.[A-Za-z0-9_-]{20,300}"),
    _shape("google_token", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    _shape(
        "stripe_key", "k_live_ k_test_ k_prod_", r"(?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{10,99}"
    ),
    _shape("stripe_key", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,64}"),
    _shape(
        "jwt",
        "eyJ",
        r"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{16,2000}",
    ),
    _shape("onepassword_token", "ops_eyJ", r"ops_eyJ[A-Za-z0-9+/_-]{200,2000}={0,3}"),
    _shape("npm_token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _shape("pypi_token", "pypi-", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,1000}"),
    _shape("huggingface_token", "hf_", r"hf_(?=[A-Za-z]*[a-z])(?=[A-Za-z]*[A-Z])[A-Za-z0-9]{34}"),
    _shape("azure_secret", "Q~", r"(?<![~.,-])[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}"),
    _shape("vault_token", "hvs. hvb.", r"hv[sb]\.[A-Za-z0-9_-]{24,300}"),
    _shape(
        "vault_token",
        "s.",
        r"(?<![.])s\.(?=[A-Za-z]*\d)(?=[a-z\d]*[A-Z])(?=[A-Z\d]*[a-z])[A-Za-z0-9]{24}",
        3.5,
    ),
    _shape("sourcegraph_token", "sgp_", r"sgp_(?:(?:[A-Fa-f0-9]{16}|local)_)?[A-Fa-f0-9]{40}"),
    _shape("sendgrid_key", "SG.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    _shape("mailgun_key", "key-", r"key-[0-9a-f]{32}"),
    _shape("digitalocean_token", "_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    _shape("databricks_token", "dapi", r"dapi[a-f0-9]{32}(?:-\d)?"),
    _shape("telegram_token", ":AA", r"\d{8,10}:AA[A-Za-z0-9_-]{32,34}"),
    _shape("shopify_token", "shp", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    _shape("linear_key", "lin_", r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}"),
    _shape("groq_key", "gsk_", r"gsk_[A-Za-z0-9]{40,64}"),
    _shape("xai_key", "xai-", r"xai-[A-Za-z0-9]{60,100}"),
    _shape("perplexity_key", "pplx-", r"pplx-[A-Za-z0-9]{40,64}"),
    _shape("replicate_token", "r8_", r"r8_[A-Za-z0-9]{30,64}"),
    _shape("langsmith_key", "lsv2_", r"lsv2_[a-z]{2}_[a-f0-9]{32}_[a-f0-9]{10}"),
    _shape("langfuse_key", "sk-lf-", r"sk-lf-[0-9a-f-]{30,40}"),
    _shape("postman_key", "PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    _shape("grafana_token", "glsa_ glc_", r"gl(?:sa|c)_[A-Za-z0-9+/_]{32,400}"),
    _shape("newrelic_key", "NRAK- NRJS- NRII- NRRA-", r"NR(?:AK|JS|II|RA)-[A-Za-z0-9]{19,32}"),
    _shape("doppler_token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.-]{40,64}"),
    _shape("atlassian_token", "ATATT3", r"ATATT3[A-Za-z0-9_=-]{100,300}"),
    _shape("facebook_token", "|", r"\d{15,16}\|[A-Za-z0-9_-]{27,40}"),
    _shape("intra42_secret", "s-s4t2", r"s-s4t2(?:ud|af)-[a-f0-9]{64}"),
    _shape("age_key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    _shape("flyio_token", "fo1_", r"fo1_[A-Za-z0-9_-]{43}"),
)

PEM_LONGEST = 8192
"""Characters of the longest private key block that is taken as one finding."""

_BREAK = r"(?:\\\\?[nr]|\s)"
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    rf"{_BREAK}{{0,8}}(?:[A-Za-z-]{{2,20}}: [^\n]{{0,100}}\n\s{{0,4}}){{0,4}}"
    rf"([A-Za-z0-9+/=]{{16,4000}})(?:{_BREAK}{{1,8}}[A-Za-z0-9+/=]{{16,4000}}){{0,100}}"
    rf"(?:(?:{_BREAK}{{1,8}}[A-Za-z0-9+/=]{{1,15}}){{0,2}}{_BREAK}{{0,8}}"
    r"-----END [A-Z0-9 ]{0,40}-----)?"
)
_PEM_BODY = 8000
_OPEN_HEADER = re.compile(r"-----BEGIN [A-Z0-9 ]{0,60}(?:-----|-{0,5}\Z)")
_PEM_CHARACTERS = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\\:,.-"
    + "".join(char for char in map(chr, range(0x3001)) if char.isspace())
)


def find(text: str) -> Iterator[Span]:
    """Keys of a known shape that are no placeholder."""
    for shape in SHAPES:
        if not any(hint in text for hint in shape.hints):
            continue
        for match in shape.pattern.finditer(text):
            if bits(match[0]) >= shape.least_bits and not is_placeholder(match[0]):
                yield Span(match.start(), match.end(), shape.kind)


def private_keys(text: str) -> Iterator[Span]:
    """PEM blocks of private keys: from the header on, be the end there or not."""
    for match in _PEM.finditer(text) if "-----BEGIN " in text else ():
        if not is_placeholder(match[1]):
            yield Span(match.start(), match.end(), "private_key")


def open_block(text: str) -> int:
    """Where a PEM block begins that more text may continue; the length of ``text`` if none does."""
    if "-----BEGIN " not in text:
        return len(text)
    # One pass from the end: a pattern that runs to it from every header is slow on many of them.
    low = max(len(text.rstrip(_PEM_CHARACTERS)), len(text) - PEM_LONGEST)
    for match in _OPEN_HEADER.finditer(text, low):
        if len(text) - match.end() <= _PEM_BODY:
            return match.start()
    return len(text)
