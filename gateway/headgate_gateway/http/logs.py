"""Logging of the server: text or JSON lines on standard error; never keys or message text.

Libraries write whole requests at the level debug, so they are heard from warnings on alone.
"""

from __future__ import annotations

import logging

import orjson

from headgate_core.settings.server import LogSettings


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the traceback of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a JSON line."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def set_up_logging(settings: LogSettings) -> None:
    """Replace whatever handlers there are by one on standard error."""
    handler = logging.StreamHandler()
    if settings.format == "json":
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    level: int = getattr(logging, settings.level.upper())
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("headgate").setLevel(level)
    handler.addFilter(_ours_or_serious)


def _ours_or_serious(record: logging.LogRecord) -> bool:
    """A library may set a level of its own, which a variable of the environment may ask for."""
    ours = record.name == "headgate" or record.name.startswith("headgate.")
    return ours or record.levelno >= logging.WARNING
