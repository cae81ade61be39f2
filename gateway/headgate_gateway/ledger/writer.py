"""Moves this process's journal to the store, in batches, off the event loop, exactly once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from headgate_core.errors import StoreError
from headgate_core.store import Store
from headgate_gateway.ledger import segments
from headgate_gateway.ledger.deliver import deliver, parse, set_aside
from headgate_gateway.ledger.journal import Journal

log = logging.getLogger("headgate.journal")

BATCH_LINES = 500
EVERY_S = 0.1
LONGEST_WAIT_S = 10.0
_BEGIN = b'{"t":"begin"'


class Writer:
    """Follows ``journal`` into the store that ``open_store`` gives.

    ``open_store`` is called in a thread, and again as long as it raises ``StoreError``.
    What could not be stored stays in the journal's files and is read again from there, so memory
    does not grow while the store is away.
    """

    def __init__(self, journal: Journal, open_store: Callable[[], Store]) -> None:
        self._journal = journal
        self._open_store = open_store
        self._store: Store | None = None
        self._offset = 0
        self._stored = journal.first.base
        self._moved = asyncio.Event()
        self._wanted = asyncio.Event()
        self._retry = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failure = ""
        self.rejected = 0
        """Lines that the store refused for what they say; kept beside the journals."""

    def start(self) -> None:
        """Begin moving lines; must be called on the event loop."""
        self._task = asyncio.create_task(self._run(), name="journal writer")
        self._task.add_done_callback(_report)

    @property
    def waiting_bytes(self) -> int:
        """How much of the journal is not in the store yet."""
        return self._journal.end - self._stored

    @property
    def failure(self) -> str:
        """Why the store takes nothing at present; empty when it does."""
        return self._failure

    def retry(self) -> None:
        """The store is back: what waits for it need not wait any longer."""
        self._retry.set()

    async def flush(self, timeout_s: float = 10.0) -> None:
        """Return once everything appended so far is committed.

        Raises ``StoreError`` after ``timeout_s``; the lines are safe in the journal then.
        """
        target = self._journal.end
        try:
            async with asyncio.timeout(timeout_s):
                while self._stored < target:
                    self._moved.clear()
                    self._wanted.set()
                    await self._moved.wait()
        except TimeoutError:
            raise StoreError(
                f"The store did not take the journal within {timeout_s:g} s "
                f"({self._failure or 'it is slow'}). Nothing is lost: the lines are in "
                f"{self._journal.folder} and follow as soon as the store answers."
            ) from None

    async def close(self, timeout_s: float = 5.0) -> None:
        """Flush if the store allows it, stop, and close the journal.

        What could not be stored stays on disk for the next start.
        """
        if self._task is None:
            return
        with contextlib.suppress(StoreError):
            await self.flush(timeout_s)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        self._journal.close(stored=self._stored >= self._journal.end)

    async def _run(self) -> None:
        wait = EVERY_S
        while True:
            try:
                full = self.waiting_bytes > 0 and await self._in_thread()
            except Exception as error:  # noqa: BLE001 - a writer that ends stores nothing any more
                self._failed(error)
                wait = min(2 * wait, LONGEST_WAIT_S)
            else:
                self._recovered()
                wait = 0.0 if full else EVERY_S
            self._moved.set()
            await self._rest(wait)

    async def _in_thread(self) -> bool:
        work = asyncio.ensure_future(asyncio.to_thread(self._move))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # A thread cannot be taken back: it must be done before the files are closed.
            await asyncio.wait([work])
            raise

    async def _rest(self, wait: float) -> None:
        """Sleep ``wait`` seconds; a flush cuts it short, but a store that is away must be back."""
        if not wait:
            await asyncio.sleep(0)
            return
        woken = self._retry if self._failure else self._wanted
        woken.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await woken.wait()

    def _move(self) -> bool:
        """Move one batch; True when there may be more at once. Runs in a thread."""
        segment, start = self._journal.first, self._offset
        found = segments.read_lines(segment.fd, start, BATCH_LINES)
        if not found.lines:
            return self._next_segment(found.end >= segment.size)
        parsed = parse(line for line in found.lines if not line.startswith(_BEGIN))
        refused = parsed.refused
        if parsed.lines:
            self._store = self._store or self._open_store()
            refused = refused + deliver(self._store, parsed.lines)
        set_aside(refused, self._journal.folder)
        self.rejected += len(refused)
        self._offset = found.end
        self._stored = segment.base + found.end
        return len(found.lines) == BATCH_LINES or found.end - start > segments.READ_BYTES // 2

    def _next_segment(self, read_out: bool) -> bool:
        if read_out and self._journal.drop_first():
            self._offset = 0
            return True
        return False

    def _failed(self, error: Exception) -> None:
        expected = isinstance(error, StoreError | OSError)
        if not self._failure:
            log.error(
                "the journal is kept on disk until the store takes it: %s",
                error,
                exc_info=None if expected else error,
            )
        self._failure = str(error) if expected else f"{type(error).__name__}: {error}"

    def _recovered(self) -> None:
        if self._failure:
            log.warning("the store takes the journal again")
        self._failure = ""


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        log.critical("the journal writer has died", exc_info=task.exception())
