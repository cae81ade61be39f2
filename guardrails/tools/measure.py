"""Measures the checks on labelled texts: precision and recall per type, share flagged per set.

Usage: python guardrails/tools/measure.py FOLDER [--errors N]

FOLDER holds what there is of ``pii/dev.jsonl`` (text, spans of type, start, end),
``secrets/dev.jsonl.gz`` (text, label 1 or 0, rule) and ``guardrails/dev.jsonl`` (text, set, label).
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headgate_core.ports import Check
from headgate_core.types import At
from headgate_guardrails.checks.injection import Injection
from headgate_guardrails.checks.pii import Pii
from headgate_guardrails.checks.secrets import Secrets

KIND_OF = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "IBAN_CODE": "iban",
    "CREDIT_CARD": "credit_card",
    "US_SSN": "us_ssn",
    "IP_ADDRESS": "ip_address",
}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for line in data.splitlines():
        yield json.loads(line)


def _rate(part: int, whole: int) -> str:
    return f"{part}/{whole} = {part / whole:.3f}" if whole else "0/0"


async def _pii(path: Path, errors: int) -> None:
    kinds = list(KIND_OF.values())
    check = Pii(types=kinds)  # type: ignore[arg-type]
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    shown = 0
    for line in _lines(path):
        gold = [
            (s["start"], s["end"], KIND_OF[s["type"]])
            for s in line["spans"]
            if s["type"] in KIND_OF
        ]
        found = [(s.start, s.end, s.kind) for s in await check.find(line["text"], "input")]
        for start, end, kind in gold:
            counts[kind]["gold"] += 1
            counts[kind]["hit"] += any(s < end and start < e and k == kind for s, e, k in found)
            counts[kind]["exact"] += (start, end, kind) in found
        for start, end, kind in found:
            right = any(s < end and start < e and k == kind for s, e, k in gold)
            counts[kind]["found"] += 1
            counts[kind]["right"] += right
            if not right and shown < errors:
                shown += 1
                print(f"  false alarm {kind}: {line['text'][max(0, start - 30) : end + 10]!r}")
    print("personal data: a hit overlaps a span of its type")
    for kind in kinds:
        c = counts[kind]
        print(
            f"  {kind:12} recall {_rate(c['hit'], c['gold'])} (exact {c['exact']})"
            f"  precision {_rate(c['right'], c['found'])}"
        )


async def _flagged(check: Check, text: str, at: At) -> bool:
    return bool(await check.find(text, at))


async def _secrets(path: Path, errors: int) -> None:
    by_label: dict[int, list[bool]] = defaultdict(list)
    missed: dict[str, int] = defaultdict(int)
    for line in _lines(path):
        hit = await _flagged(Secrets(), line["text"], "input")
        by_label[line["label"]].append(hit)
        if hit != bool(line["label"]):
            missed[f"{'missed' if line['label'] else 'false alarm'} {line['rule']}"] += 1
    true, false = sum(by_label[1]), sum(by_label[0])
    print(f"secrets: recall {_rate(true, len(by_label[1]))}", end="  ")
    print(f"false alarms {_rate(false, len(by_label[0]))}  precision {_rate(true, true + false)}")
    for what, count in sorted(missed.items())[:errors]:
        print(f"  {what}: {count}")


async def _injection(path: Path, errors: int) -> None:
    counts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    shown = 0
    for line in _lines(path):
        at: At = "passages" if line["label"] == "indirect_instruction" else "input"
        hit = await _flagged(Injection(), line["text"], at)
        counts[line["set"], line["label"]].append(hit)
        if hit and line["label"] == "benign" and shown < errors:
            shown += 1
            print(f"  false alarm {line['set']}: {line['text'][:200]!r}")
    print("injection: share flagged per set")
    for (name, label), hits in sorted(counts.items()):
        print(f"  {name:24} {label:22} {_rate(sum(hits), len(hits))}")


async def measure(folder: Path, errors: int) -> None:
    """Print the figures of every check whose data are in ``folder``."""
    for path, of in (
        (folder / "pii" / "dev.jsonl", _pii),
        (folder / "secrets" / "dev.jsonl.gz", _secrets),
        (folder / "guardrails" / "dev.jsonl", _injection),
    ):
        if path.is_file():
            await of(path, errors)
        else:
            print(f"{path} is not there: skipped")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--errors", type=int, default=0, help="how many wrong lines to print")
    chosen = parser.parse_args()
    asyncio.run(measure(chosen.folder, chosen.errors))
