"""Logging of the server: text or JSON lines on standard error; never keys or message text."""

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
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    for chatty in ("uvicorn.error", "aiohttp.access", "alembic", "httpx", "LiteLLM"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
