"""The addresses of the server, and how a request becomes an answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from minilm.inference.server.answers import Answer
from minilm.inference.server.engine import Engine, Job, Piece
from minilm.inference.server.fields import read_fields
from minilm.inference.server.metrics import CONTENT_TYPE
from minilm.inference.server.problems import Problem, broken
from minilm.inference.server.prompts import Served

MOST_BYTES = 1_000_000  # of a body
SLOWEST = 30.0  # seconds that a body may take to arrive
_LEFT = 499  # what servers write down for a client that left; nobody receives it

News = list[Piece] | Problem


def make_app(engine: Engine, served: Served, most_bytes: int = MOST_BYTES) -> Starlette:
    """The application; it starts the engine, and stops it at its end.

    Args:
        engine: not started.
        served: the model that it runs.
        most_bytes: of a request's body.
    """
    began = int(time.time())
    card = {"id": served.name, "object": "model", "created": began, "owned_by": "minilm"}

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [card]})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        if name != served.name:
            message = f"model is {name!r}; this server has {served.name!r}"
            raise Problem(404, message, "model", "model_not_found")
        return JSONResponse(card)

    async def completions(request: Request) -> Response:
        return await _answer(request, "completions", engine, served, most_bytes)

    async def chat(request: Request) -> Response:
        return await _answer(request, "chat", engine, served, most_bytes)

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(engine.metrics.text(engine), media_type=CONTENT_TYPE)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def counted(handler: Callable[[Request], Awaitable[Response]]) -> Any:
        async def run(request: Request) -> Response:
            try:
                response = await handler(request)
            except Problem as problem:
                response = _refusal(problem)
            except (ClientDisconnect, asyncio.CancelledError):
                engine.metrics.answer(_LEFT)
                raise
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                response = _refusal(broken(error))
            engine.metrics.answer(response.status_code)
            return response

        return run

    async def refused(request: Request, error: Any) -> Response:
        """Of an address or a method that is not there."""
        engine.metrics.answer(error.status_code)
        message = f"{request.method} {request.url.path}: {error.detail}"
        response = _refusal(Problem(error.status_code, message))
        response.headers.update(error.headers or {})
        return response

    @contextlib.asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        engine.start()
        yield
        engine.stop()
        await asyncio.to_thread(engine.join)

    routes = [
        Route("/v1/models", counted(models)),
        Route("/v1/models/{name:path}", counted(model)),
        Route("/v1/completions", counted(completions), methods=["POST"]),
        Route("/v1/chat/completions", counted(chat), methods=["POST"]),
        Route("/metrics", counted(metrics)),
        Route("/health", counted(health)),
    ]
    return Starlette(routes=routes, lifespan=life, exception_handlers={HTTPException: refused})


async def _answer(
    request: Request, kind: str, engine: Engine, served: Served, most_bytes: int
) -> Response:
    body = await _body(request, most_bytes)
    wanted = read_fields(body, kind, served)
    loop, news = asyncio.get_running_loop(), asyncio.Queue()

    def tell(what: News) -> None:  # in the engine's thread
        loop.call_soon_threadsafe(news.put_nowait, what)

    job, answer = engine.submit(wanted, tell), Answer(wanted, served)
    try:
        # A stream begins only once there is something to tell: until then, what goes wrong still
        # has a status of its own.
        first = await _next(request, news)
        if wanted.stream:
            return _Events(request, engine, job, answer, news, first)
        answer.take(first)
        while not answer.complete:
            answer.take(await _next(request, news))
        return JSONResponse(answer.whole(job))
    except BaseException:
        engine.cancel(job)
        raise


class _Events(Response):
    """Pieces as server-sent events, until the text has ended or the client has left."""

    media_type = "text/event-stream"

    def __init__(
        self, request: Request, engine: Engine, job: Job, answer: Answer, news: Any, first: Any
    ) -> None:
        super().__init__(headers={"cache-control": "no-cache", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self.request, self.engine, self.job = request, engine, job
        self.answer, self.news, self.first = answer, news, first

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send everything."""

        async def say(*parts: dict | str, more: bool = True) -> None:
            body = "".join(f"data: {_line(part)}\n\n" for part in parts).encode()
            await send({"type": "http.response.body", "body": body, "more_body": more})

        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        answer, pieces = self.answer, self.first
        try:
            await send(head)
            await say(*answer.beginnings())
            while True:
                answer.take(pieces)
                await say(*answer.chunks(pieces))
                if answer.complete:
                    break
                pieces = await _next(self.request, self.news)
            usage = [answer.last(self.job)] if answer.wanted.usage else []
            await say(*usage, "[DONE]", more=False)
        except Problem as problem:
            await say(problem.to_dict(), more=False)
        except (ClientDisconnect, OSError):
            return  # nobody listens
        finally:
            if not answer.complete:
                self.engine.cancel(self.job)


def _line(part: dict | str) -> str:
    return part if isinstance(part, str) else json.dumps(part, separators=(",", ":"))


async def _next(request: Request, news: asyncio.Queue) -> list[Piece]:
    """The next pieces.

    Raises:
        Problem: in place of pieces.
        ClientDisconnect: whoever asked has left.
    """
    if news.empty():
        come, gone = asyncio.ensure_future(news.get()), asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait((come, gone), return_when=asyncio.FIRST_COMPLETED)
            if not come.done():
                raise ClientDisconnect
            what = come.result()
        finally:
            come.cancel()
            gone.cancel()
    else:
        what = news.get_nowait()
    if isinstance(what, Problem):
        raise what
    return what


async def _left(request: Request) -> None:
    """Returns when the client closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request, most: int) -> Any:
    """The JSON of a request.

    Raises:
        Problem: it is no JSON, too long, or too slow.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":  # which a page of another site cannot send unasked
        raise Problem(415, f"content-type is {kind!r}; it must be 'application/json'")
    parts, size = [], 0
    try:
        async with asyncio.timeout(SLOWEST):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Problem(413, f"the body has more than {most} bytes", code="too_large")
                parts.append(part)
    except TimeoutError:
        raise Problem(408, f"the body took longer than {SLOWEST:g} seconds to arrive") from None
    try:
        return json.loads(b"".join(parts), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
        raise Problem(400, f"the body is not JSON: {error}", code="invalid_json") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _refusal(problem: Problem) -> JSONResponse:
    headers = {"retry-after": "1"} if problem.status in (429, 503) else None
    return JSONResponse(problem.to_dict(), problem.status, headers)
