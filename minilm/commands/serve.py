"""`minilm serve`: a model behind the interface that OpenAI's clients speak."""

import argparse
from pathlib import Path

from minilm.commands._options import naming
from minilm.errors import InputError, install

HELP = "answer programs over HTTP, as OpenAI's interface does"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm serve` takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="what minilm train has saved")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0: a free one (8000)")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="who may ask: this machine alone"
    )
    parser.add_argument("--name", metavar="TEXT", help="what the model is called (DIR's name)")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="texts at once (32)")
    parser.add_argument(
        "--chunk", type=int, default=128, metavar="N", help="tokens of a step (128)"
    )
    parser.add_argument("--pages", type=int, metavar="N", help="of the cache (enough for --batch)")
    parser.add_argument("--page", type=int, default=16, metavar="N", help="tokens of a page (16)")
    parser.add_argument("--queue", type=int, default=256, metavar="N", help="texts that wait (256)")
    parser.add_argument("--tokens", type=int, metavar="N", help="of a text, at most (the context)")
    parser.add_argument("--seconds", type=float, default=600, metavar="S", help="an answer (600)")
    parser.add_argument(
        "--weights", choices=("float32", "int8"), default="float32", help="int8: 8 bits a weight"
    )
    parser.add_argument("--verbose", action="store_true", help="a line for every request")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    try:
        from minilm.inference.server.app import make_app
        from minilm.inference.server.listen import listen, open_socket
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed, which minilm serve needs: {install('serve')}"
        ) from None
    from minilm.align.talking import form_of
    from minilm.inference.request import Counts
    from minilm.inference.scheduler import Scheduler
    from minilm.inference.server.engine import Engine
    from minilm.inference.server.prompts import Served
    from minilm.train import load

    for name, value, least in (("queue", args.queue, 0), ("tokens", args.tokens, 1)):
        if value is not None and value < least:
            raise InputError(f"--{name} is {value}; it must be {least} or more")
    if not 0 < args.seconds < float("inf"):
        raise InputError(f"--seconds is {args.seconds}; it must be above 0")
    with naming(port="--port", host="--host"):
        listening = open_socket(args.host, args.port)
    with listening:
        model, tokenizer = load(args.folder)
        try:
            form = form_of(args.folder, tokenizer)
        except InputError:
            form = None  # it goes on with texts, and does not chat
        sizes = {"pages": args.pages, "page": args.page, "most": args.batch, "chunk": args.chunk}
        with naming(page="--page", most="--batch", chunk="--chunk", pages="--pages"):
            scheduler = Scheduler(model, **sizes, weights=args.weights)
        scheduler.add([0], 1)
        scheduler.run()  # compiles, before the first client waits for it
        scheduler.counts = Counts()
        served = Served(
            args.name or args.folder.resolve().name, tokenizer, model.config.context, form,
            args.tokens,
        )  # fmt: skip
        engine = Engine(scheduler, tokenizer, args.queue, args.seconds)
        host, port = listening.getsockname()[:2]
        where = f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"
        speaks = "completions and chat" if form is not None else "completions"
        print(f"{served.name} at {where}: {speaks}; Ctrl-C stops", flush=True)
        listen(make_app(engine, served), engine, listening, "info" if args.verbose else "warning")
    return 0
