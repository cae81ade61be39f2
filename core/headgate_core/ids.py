"""Identities: UUIDv7 (RFC 9562), so that ids sort by the time they were made."""

from __future__ import annotations

import os
import time


def uuid7() -> str:
    """A UUIDv7 in its 36-character text form; the first 48 bits are Unix milliseconds."""
    milliseconds = time.time_ns() // 1_000_000
    value = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    value[6] = (value[6] & 0x0F) | 0x70
    value[8] = (value[8] & 0x3F) | 0x80
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def trace_id() -> str:
    """A random W3C trace id: 32 hexadecimal digits."""
    return os.urandom(16).hex()


def span_id() -> str:
    """A random W3C span id: 16 hexadecimal digits."""
    return os.urandom(8).hex()
