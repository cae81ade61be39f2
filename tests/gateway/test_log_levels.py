"""What the log holds at which level: libraries may write whole requests at the level debug."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest

from headgate_core.settings.server import LogSettings
from headgate_gateway.http.logs import set_up_logging


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("headgate")
    levels, handlers = (root.level, ours.level), root.handlers[:]
    root.handlers = []  # the test's own stand in none of them
    yield
    root.handlers = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def logged(level: str, names: dict[str, int]) -> str:
    """What stands in the log when each of these writes one line of its level."""
    said = io.StringIO()
    with redirect_stderr(said):
        set_up_logging(LogSettings.model_validate({"level": level}))
        for name, of in names.items():
            logging.getLogger(name).log(of, "by %s", name)
    return said.getvalue()


def test_debug_is_for_our_own_lines_and_libraries_are_heard_from_warnings_on() -> None:
    of = {"headgate.egress": 10, "openai._base_client": 10, "botocore.auth": 20, "aiohttp": 30}
    said = logged("debug", of)
    assert "by headgate.egress" in said
    assert "by aiohttp" in said
    assert "openai" not in said and "botocore" not in said


def test_a_library_that_sets_its_own_level_is_not_heard_either() -> None:
    library = logging.getLogger("a_library_that_talks")
    library.setLevel(logging.DEBUG)
    assert "talks" not in logged("debug", {"a_library_that_talks": 10})


def test_with_error_nobodys_warnings_are_heard() -> None:
    assert logged("error", {"headgate.http": 30, "uvicorn.error": 30}) == ""
    assert "by uvicorn.error" in logged("error", {"uvicorn.error": 40})
