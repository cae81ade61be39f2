"""All tables. Money is integer pico-dollars, times are Unix nanoseconds; JSON is stored as text."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
)
"""Server secrets of this store: ``keys`` hashes API keys, ``content`` encrypts kept answers."""

keys = Table(
    "keys",
    metadata,
    Column("key_id", String(36), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("hint", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("team", String(200), nullable=False),
    Column("tenant", String(200), nullable=False),
    Column("groups", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("requests_per_minute", Integer),
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("expires_unix_ns", BigInteger),
    Column("revoked_unix_ns", BigInteger),
)

prompt_versions = Table(
    "prompt_versions",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("source", Text, nullable=False),
    Column("partials", Text, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
)

prompt_labels = Table(
    "prompt_labels",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("set_by", String(200), nullable=False),
    Column("set_unix_ns", BigInteger, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", String(36), primary_key=True),
    Column("trace_id", String(32), nullable=False, index=True),
    Column("started_unix_ns", BigInteger, nullable=False, index=True),
    Column("source", String(16), nullable=False),
    Column("route", String(200), nullable=False),
    Column("asked_model", String(200), nullable=False),
    Column("key_id", String(36), nullable=False),
    Column("team", String(200), nullable=False),
    Column("tenant", String(200), nullable=False),
    Column("status", Integer, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("target", String(300), nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("first_token_ms", Float),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost_pico", BigInteger, nullable=False),
    Column("unpriced", Boolean, nullable=False),
    Column("error_code", String(64), nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("content", LargeBinary),
    Column("spans", LargeBinary),
)
"""``record``: zlib over the JSON of ``CallRecord`` without its content, which stands apart.

``spans``: what ``telemetry.packed`` made of the call's OpenTelemetry spans; NULL in rows that an
earlier version wrote.
"""
Index("calls_by_route", calls.c.route, calls.c.started_unix_ns)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_id", String(36), primary_key=True),
    Column("call_id", String(36), nullable=False, index=True),
    Column("started_unix_ns", BigInteger, nullable=False, index=True),
    Column("purpose", String(16), nullable=False),
    Column("why", String(16), nullable=False),
    Column("pool", String(200), nullable=False),
    Column("provider", String(200), nullable=False),
    Column("model", String(300), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("cost_pico", BigInteger),
    Column("price", String(200), nullable=False),
    Column("key_id", String(36), nullable=False),
    Column("team", String(200), nullable=False),
)
"""The ledger: one row an attempt, written once."""

scores = Table(
    "scores",
    metadata,
    Column("call_id", String(36), primary_key=True),
    Column("metric", String(200), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("value", Float),
    Column("unscored", String(64), nullable=False),
    Column("details", Text, nullable=False),
    Column("scored_unix_ns", BigInteger, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("call_id", String(36), nullable=False, index=True),
    Column("key_id", String(36), nullable=False),
    Column("name", String(64), nullable=False),
    Column("data_type", String(16), nullable=False),
    Column("number", Float),
    Column("label", String(100)),
    Column("comment", Text),
    Column("comment_status", String(16), nullable=False),
    Column("source", String(16), nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
    Column("updated_unix_ns", BigInteger, nullable=False),
)
"""One row a call, key and name (``id`` follows from the three); true and false are 1 and 0."""

index_versions = Table(
    "index_versions",
    metadata,
    Column("collection", String(200), primary_key=True),
    Column("version", String(36), primary_key=True),
    Column("folder", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("embedder", String(300), nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("created_unix_ns", BigInteger, nullable=False),
)
"""``fingerprint``: hash over embedder, chunker and index options; another one, another version."""

documents = Table(
    "documents",
    metadata,
    Column("collection", String(200), primary_key=True),
    Column("version", String(36), primary_key=True),
    Column("tenant", String(200), primary_key=True),
    Column("path", String(1000), primary_key=True),
    Column("content_hash", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("ingested_unix_ns", BigInteger, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("suite", String(200), nullable=False, index=True),
    Column("started_unix_ns", BigInteger, nullable=False),
    Column("finished_unix_ns", BigInteger),
    Column("exit_code", Integer),
    Column("config_hash", String(64), nullable=False),
    Column("data_hash", String(64), nullable=False),
    Column("summary", Text, nullable=False),
)

run_cases = Table(
    "run_cases",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("case_id", String(200), primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("call_id", String(36), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("details", Text, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal", String(36), primary_key=True),
    Column("route", String(200), primary_key=True),
    Column("key_hash", String(64), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("owner", String(36), nullable=False),
    Column("lease_unix_ns", BigInteger, nullable=False),
    Column("expires_unix_ns", BigInteger, nullable=False, index=True),
    Column("answer", LargeBinary),
)
"""One row a principal, route and ``Idempotency-Key``; its ``answer`` is encrypted, NULL = none yet.

``owner`` is the call that works on it; it holds the row until ``lease_unix_ns``.
"""

disabled_targets = Table(
    "disabled_targets",
    metadata,
    Column("provider", String(200), primary_key=True),
    Column("model", String(300), primary_key=True),
    Column("until_unix_ns", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Column("disabled_unix_ns", BigInteger, nullable=False),
)
"""Targets that a person took out of use; a row whose time is over means nothing any more."""
