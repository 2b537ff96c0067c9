"""A server in a thread of this process: for a notebook, or for a test of one's own client."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from minilm.inference.scheduler import Scheduler
from minilm.inference.server.app import make_app
from minilm.inference.server.engine import Engine
from minilm.inference.server.fields import Served
from minilm.inference.server.listen import GRACE, Server, open_socket


@contextlib.contextmanager
def serving(
    model: Any,
    tokenizer: Any,
    name: str = "model",
    form: Any = None,
    port: int = 0,
    queue: int = 256,
    **sizes: Any,
) -> Iterator[str]:
    """Serve a model on 127.0.0.1 for as long as the block runs.

    Args:
        model: a decoder on the CPU.
        tokenizer: its own.
        name: what clients call it.
        form: how conversations are written down; None: it does not chat.
        port: 0 takes a free one.
        queue: texts that may wait.
        sizes: of the `Scheduler`.

    Yields:
        The address, such as "http://127.0.0.1:40123/v1".

    Raises:
        InputError: a port that is taken; as `Scheduler`.
    """
    engine = Engine(Scheduler(model, **sizes), tokenizer, queue)
    served = Served(name, tokenizer, model.config.context, form)
    with open_socket("127.0.0.1", port) as listening:
        settings = uvicorn.Config(
            make_app(engine, served), log_level="error", lifespan="on",
            timeout_graceful_shutdown=GRACE,
        )  # fmt: skip
        server = Server(settings, engine)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while thread.is_alive() and not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()
            engine.join()
