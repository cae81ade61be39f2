"""At most one helper process of a kind per data directory, reached over a unix socket.

Whoever needs it first starts it; it ends when nobody has been connected for a while. The owner is
decided by a lock on ``DATA_DIR/run/NAME.lock``, so it survives ``kill -9``; the log is
``DATA_DIR/logs/NAME.log``.
"""

from headgate_core.daemon.client import DaemonClient
from headgate_core.daemon.server import Handler, Taken, serve

__all__ = ["DaemonClient", "Handler", "Taken", "serve"]
