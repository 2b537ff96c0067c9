"""A server of a small model, in a thread of this process; shared by several test files."""

import contextlib
import threading
import time

import numpy as np

from minilm.inference.scheduler import Scheduler
from minilm.inference.server.app import make_app
from minilm.inference.server.engine import Engine
from minilm.inference.server.listen import Server, open_socket
from minilm.inference.server.prompts import Served
from minilm.models import Config, Transformer
from minilm.tokenizers import ByteTokenizer
from minilm.tokenizers.chat import CHATML

NAME = "small"
TOKENIZER = ByteTokenizer(special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
CONFIG = Config(
    vocab_size=259, context=256, layers=2, heads=4, kv_heads=2, channels=32, positions="rope",
    activation="swiglu", tie=False,
)  # fmt: skip


def small_model(seed=0):
    """Random weights; it writes letters, and never a special token, so it ends where it must."""
    made = Transformer(CONFIG, seed).eval()
    rng = np.random.default_rng(seed)
    for parameter in made.parameters():
        parameter.data += rng.normal(0, 0.1, parameter.shape).astype(np.float32)
    # One channel of what the head reads is always 1: a bias for each token.
    norm, head = made.stack.norm, made.head.weight.data
    norm.weight.data[0], norm.bias.data[0] = 0, 1
    head[:, 0] = -60
    head[32:127, 0] = 0
    head[192:224, 0] = -3  # now and then a byte that begins a character of two
    head[128:192, 0] = -2
    return made


MODEL = small_model()


class Slow:
    """A scheduler whose steps take a while, for tests of what happens meanwhile."""

    def __init__(self, scheduler, seconds):
        self._scheduler, self._seconds = scheduler, seconds

    def __getattr__(self, name):
        return getattr(self._scheduler, name)

    def step(self):
        time.sleep(self._seconds)
        return self._scheduler.step()


@contextlib.contextmanager
def running(form=CHATML, slow=0.0, queue=256, seconds=60.0, most_bytes=100_000, **sizes):
    """(address, engine) of a server that listens on a free port.

    At the end nothing may be left: no text, no page, no thread.
    """
    from uvicorn import Config as Settings

    scheduler = Scheduler(MODEL, **{"most": 16, "chunk": 64} | sizes)
    engine = Engine(Slow(scheduler, slow) if slow else scheduler, TOKENIZER, queue, seconds)
    app = make_app(engine, Served(NAME, TOKENIZER, CONFIG.context, form), most_bytes)
    listening = open_socket("127.0.0.1", 0)
    settings = Settings(app, log_level="error", lifespan="on", timeout_graceful_shutdown=5)
    server = Server(settings, engine)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        host, port = listening.getsockname()
        yield f"http://{host}:{port}", engine
        check_idle(engine)
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()
    assert not thread.is_alive()
    engine.join()


def check_idle(engine, seconds=30):
    """Wait until the engine has nothing to do; no page is in use, and no text counted as open."""
    deadline = time.monotonic() + seconds
    scheduler = engine.scheduler
    while (engine._open or scheduler.busy) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not scheduler.busy and not engine._open and not engine._jobs
    assert scheduler.pages.pool.used == scheduler.prefixes.held
