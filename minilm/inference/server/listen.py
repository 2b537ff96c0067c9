"""The process that listens: a socket, uvicorn, and an end that leaves nobody waiting."""

from __future__ import annotations

import errno
import os
import socket
from types import FrameType
from typing import Any

import uvicorn

from minilm.errors import InputError
from minilm.inference.server.engine import Engine

GRACE = 5  # seconds for answers that are being sent when Ctrl-C comes


class Server(uvicorn.Server):
    """uvicorn, which at Ctrl-C first stops the engine: every stream then ends with a reason."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self.engine = engine

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called at a signal."""
        self.engine.stop()
        super().handle_exit(sig, frame)


def open_socket(host: str, port: int) -> socket.socket:
    """A socket bound to an address; port 0 takes a free one.

    Raises:
        InputError: the port is taken or not allowed, or there is no such address here.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"port is {port}; it must be from 0 to 65535")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"host is {host!r}; {error.strerror}") from None
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere the option lets two programs share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            why = "is in use" if error.errno == errno.EADDRINUSE else "is not allowed for you"
            raise InputError(f"port is {port}, which {why}; another one must be given") from None
        raise InputError(f"host is {host!r}; {error.strerror}") from None
    return listening


def listen(app: Any, engine: Engine, listening: socket.socket, log: str = "warning") -> None:
    """Answer requests until Ctrl-C.

    Args:
        app: what `make_app` gives.
        engine: the one that the app starts.
        listening: of `open_socket`.
        log: uvicorn's level.
    """
    config = uvicorn.Config(
        app, log_level=log, access_log=log == "info", timeout_graceful_shutdown=GRACE, lifespan="on"
    )
    try:
        Server(config, engine).run(sockets=[listening])
    finally:
        listening.close()
