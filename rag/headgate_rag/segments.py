"""Looks at the files of an embedded index without opening it: is any part of it gone?"""

from __future__ import annotations

from pathlib import Path

import orjson


def missing_part(folder: Path) -> str:
    """What is missing in an index folder, as a sentence; empty where nothing is."""
    if not (folder / "edge_config.json").is_file():
        return "edge_config.json is missing."
    segments = sorted(file.parent for file in (folder / "segments").glob("*/segment.json"))
    if not segments:
        return "it holds no segments."
    return next((fault for fault in map(_fault, segments) if fault), "")


def _fault(segment: Path) -> str:
    """What one segment lacks of what its own description names."""
    try:
        config = orjson.loads((segment / "segment.json").read_bytes())["config"]
        names = [*config["vector_data"], *config["sparse_vector_data"]]
    except (OSError, ValueError, KeyError, TypeError):
        return f"segments/{segment.name}/segment.json is not what was written there."
    for part in ("payload_storage", "payload_index", *(f"vector_storage-{n}" for n in names)):
        if not any(file.is_file() for file in (segment / part).rglob("*")):
            return f"segments/{segment.name}/{part} is missing."
    # A segment without points has no such files at all.
    if any(segment.glob("*id_tracker.*")) and not any(segment.glob("*id_tracker.mappings")):
        return f"segments/{segment.name} holds no identities of its points."
    return ""
