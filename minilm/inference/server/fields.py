"""The fields of a request: read, checked, and refused by name where they cannot be honoured."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from minilm.errors import InputError
from minilm.inference.rules import Rules
from minilm.inference.server.problems import Problem, refuse
from minilm.tokenizers import Tokenizer, encode_chat
from minilm.tokenizers.chat import Form, ends_of

MOST_CHOICES = 16  # n times prompts
MOST_STOPS = 4
MOST_LIKELIEST = {"completions": 5, "chat": 20}  # as in OpenAI's interface

# Fields that mean "as usual" with one of these values, and cannot be honoured otherwise.
_USUAL: dict[str, tuple[Any, ...]] = {
    "presence_penalty": (0, None),
    "frequency_penalty": (0, None),
    "logit_bias": ({}, None),
    "echo": (False, None),
    "suffix": (None, ""),
    "tools": ([], None),
    "tool_choice": ("none", "auto", None),
    "functions": ([], None),
    "function_call": ("none", "auto", None),
    "parallel_tool_calls": (True, False, None),
    "response_format": ({"type": "text"}, None),
    "modalities": (["text"], None),
    "audio": (None,),
    "prediction": (None,),
    "reasoning_effort": (None,),
    "web_search_options": (None,),
}
_IGNORED = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
_SHARED = {
    "model", "max_tokens", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "n",
    "seed", "stop", "stream", "stream_options", "logprobs",
}  # fmt: skip
_OWN = {
    "completions": {"prompt", "best_of"},
    "chat": {"messages", "max_completion_tokens", "top_logprobs"},
}


@dataclass(frozen=True)
class Wanted:
    """What a request asks for.

    Attributes:
        kind: "completions" or "chat".
        prompts: the ids of each prompt.
        samples: texts for each.
        tokens: of each text, at most, by prompt.
        rules: how tokens are chosen.
        ends: ids that end a text.
        stop: texts that end it.
        seed: of the draws.
        logprobs: how many of the likeliest tokens to tell; None: no log-probabilities.
        stream: whether pieces are sent as they come.
        usage: whether a stream ends with a count of tokens.
    """

    kind: str
    prompts: list[list[int]]
    samples: int
    tokens: list[int]
    rules: Rules
    ends: list[int]
    stop: list[str]
    seed: int
    logprobs: int | None
    stream: bool
    usage: bool


@dataclass(frozen=True)
class Served:
    """The model as requests see it.

    Attributes:
        name: what it is called.
        tokenizer: its own.
        context: tokens that it reads.
        form: how conversations are written down; None: it does not chat.
        most: tokens that a text may have, at most.
    """

    name: str
    tokenizer: Tokenizer
    context: int
    form: Form | None = None
    most: int | None = None


def read_fields(body: Any, kind: str, served: Served) -> Wanted:
    """Check every field of a request.

    Args:
        body: the parsed JSON.
        kind: "completions" or "chat".
        served: the model.

    Raises:
        Problem: with the status and the field.
    """
    if not isinstance(body, dict):
        raise Problem(400, f"the body is a {_kind(body)}; it must be an object")
    _refuse_foreign(body, kind)
    name = body.get("model")
    if not isinstance(name, str):
        raise refuse("model", f"model is {name!r}; it must be {served.name!r}")
    if name != served.name:
        message = f"model is {name!r}; this server has {served.name!r}"
        raise Problem(404, message, "model", "model_not_found")
    samples = _number(body, "n", 1, int, 1, MOST_CHOICES)
    if body.get("best_of") not in (None, samples):
        raise refuse("best_of", "best_of differs from n; only the n that are drawn are told")
    stream = _flag(body, "stream")
    options = body.get("stream_options")
    if options is not None and (not stream or not isinstance(options, dict)):
        raise refuse("stream_options", "stream_options must be an object, and needs stream")
    unknown = set(options or {}) - {"include_usage", "include_obfuscation"}
    if unknown:
        field = f"stream_options.{min(unknown)}"
        raise refuse(field, f"{field} is not known", "unknown_parameter")
    prompts = _prompts(body, served) if kind == "completions" else _conversation(body, served)
    if len(prompts) * samples > MOST_CHOICES:
        raise refuse("n", f"n times prompts is {len(prompts) * samples}; at most {MOST_CHOICES}")
    ends: list[int | str] = list(served.tokenizer.special.values())
    if kind == "chat":
        ends = ends_of(served.form, served.tokenizer)
    return Wanted(
        kind=kind,
        prompts=prompts,
        samples=samples,
        tokens=_room(body, kind, prompts, served),
        rules=_rules(body),
        ends=[end for end in ends if not isinstance(end, str)],
        stop=_stops(body) + [end for end in ends if isinstance(end, str)],
        seed=_number(body, "seed", secrets.randbelow(2**31), int, -(2**63), 2**63 - 1) % 2**64,
        logprobs=_logprobs(body, kind),
        stream=stream,
        usage=bool((options or {}).get("include_usage")),
    )


def _refuse_foreign(body: dict[str, Any], kind: str) -> None:
    for field, value in body.items():
        if field in _SHARED or field in _OWN[kind] or field in _IGNORED:
            continue
        if field not in _USUAL:
            raise refuse(field, f"{field} is not a field of this request", "unknown_parameter")
        if not any(_same(value, usual) for usual in _USUAL[field]):
            message = f"{field} is given; this server does not support it"
            raise refuse(field, message, "unsupported_parameter")


def _same(value: Any, usual: Any) -> bool:
    """Equal, where 0 and 0.0 are the same and 0 and false are not."""
    alike = type(value) is type(usual) or (_is_number(value) and _is_number(usual))
    return alike and value == usual


def _rules(body: dict[str, Any]) -> Rules:
    # Clients leave fields out, or send null, where they want the usual value.
    temperature = _number(body, "temperature", 1.0, float, 0, 2)
    try:
        return Rules(
            temperature,
            _number(body, "top_k", None, int, 1, 2**31),
            _number(body, "top_p", None, float, 0, 1),
            _number(body, "min_p", None, float, 0, 1),
            _number(body, "repetition_penalty", 1.0, float, 0, 100),
        )
    except InputError as error:
        raise refuse(str(error).split()[0], str(error)) from None


def _room(body: dict[str, Any], kind: str, prompts: list[list[int]], served: Served) -> list[int]:
    """How many tokens each text may have."""
    field = "max_tokens"
    if kind == "chat" and body.get("max_completion_tokens") is not None:
        field = "max_completion_tokens"
    most = served.context if served.most is None else min(served.most, served.context)
    asked = _number(body, field, None, int, 1, most)
    rooms = []
    for ids in prompts:
        left = served.context - len(ids)
        wanted = (16 if kind == "completions" else most) if asked is None else asked
        if asked is None:
            wanted = min(wanted, left)
        if left < 1 or wanted > left:
            where = "prompt" if kind == "completions" else "messages"
            more = f" and {field} is {asked}" if left >= 1 else ""
            raise refuse(
                where,
                f"{where} has {len(ids)} tokens{more}; together with at least one new one they "
                f"must fit into the model's context of {served.context}",
                "context_length_exceeded",
            )
        rooms.append(wanted)
    return rooms


def _prompts(body: dict[str, Any], served: Served) -> list[list[int]]:
    """The ids of a text, of several, of a list of ids, or of several such lists."""
    given = body.get("prompt")
    alone = isinstance(given, str) or (isinstance(given, list) and given and _whole(given[0]))
    several = [given] if alone else given
    if not isinstance(several, list) or not 1 <= len(several) <= MOST_CHOICES:
        raise refuse(
            "prompt",
            f"prompt must be a text, a list of ids, or 1 to {MOST_CHOICES} of either",
        )
    found = []
    for one in several:
        if isinstance(one, str):
            _refuse_long(len(one), "prompt", served)
            ids = _encoded("prompt", lambda text=one: _text_ids(served.tokenizer, text))
        elif isinstance(one, list) and all(map(_whole, one)):
            ids = one
        else:
            raise refuse("prompt", f"prompt holds a {_kind(one)}; it must hold texts, or ids")
        if not ids:
            raise refuse("prompt", "prompt is empty; there must be something to go on from")
        size = served.tokenizer.vocab_size
        if min(ids) < 0 or max(ids) >= size:
            raise refuse("prompt", f"prompt holds an id out of range; ids go from 0 to {size - 1}")
        found.append(list(ids))
    return found


def _text_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text; an empty one is what separates texts, where the tokenizer has that."""
    return tokenizer.encode(text, disallowed_special=()) or list(tokenizer.special.values())[:1]


def _conversation(body: dict[str, Any], served: Served) -> list[list[int]]:
    given = body.get("messages")
    if served.form is None:
        message = "this model was not taught to chat; it answers /v1/completions"
        raise Problem(400, message, "messages", "unsupported_model")
    if not isinstance(given, list) or not given:
        raise refuse("messages", f"messages is {_kind(given)}; it must be a list of messages")
    messages = [_message(i, one) for i, one in enumerate(given)]
    _refuse_long(sum(len(message["content"]) for message in messages), "messages", served)

    def ids() -> list[int]:
        return encode_chat(served.tokenizer, messages, served.form, reply=True)[0].tolist()

    return [_encoded("messages", ids)]


def _message(i: int, given: Any) -> dict[str, str]:
    """Role and content; content in parts is joined, where all of them are texts."""
    where = f"messages[{i}]"
    if not isinstance(given, dict):
        raise refuse(where, f"{where} is a {_kind(given)}; it must be an object")
    for field, value in given.items():
        if field not in ("role", "content") and value is not None:
            raise refuse(f"{where}.{field}", f"{where}.{field} is not supported; leave it out")
    role, content = given.get("role"), given.get("content")
    if isinstance(content, list):
        texts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text"]
        if len(texts) < len(content) or not all(isinstance(text, str) for text in texts):
            raise refuse(f"{where}.content", f"{where}.content has a part that is not text")
        content = "".join(texts)
    if not isinstance(role, str) or not isinstance(content, str):
        raise refuse(where, f"{where} must have role and content, both texts")
    return {"role": "system" if role == "developer" else role, "content": content}


def _refuse_long(letters: int, field: str, served: Served) -> None:
    """Refuse a text that cannot fit, before the time is spent to encode it."""
    longest = max(1, int(served.tokenizer.byte_lengths.max()))
    if letters > 8 * served.context * longest:
        raise refuse(
            field,
            f"{field} has {letters} letters; the model's context is {served.context} tokens",
            "context_length_exceeded",
        )


def _encoded(field: str, encode: Callable[[], list[int]]) -> list[int]:
    try:
        return encode()
    except (InputError, UnicodeError) as error:
        raise refuse(field, str(error)) from None


def _stops(body: dict[str, Any]) -> list[str]:
    given = body.get("stop")
    several = [] if given is None else [given] if isinstance(given, str) else given
    good = isinstance(several, list) and all(isinstance(s, str) and s for s in several)
    if not good or len(several) > MOST_STOPS:
        raise refuse("stop", f"stop must be a text, or at most {MOST_STOPS}, none of them empty")
    return several


def _logprobs(body: dict[str, Any], kind: str) -> int | None:
    most = MOST_LIKELIEST[kind]
    if kind == "completions":
        return _number(body, "logprobs", None, int, 0, most)
    if not _flag(body, "logprobs"):
        if body.get("top_logprobs"):
            raise refuse("top_logprobs", "top_logprobs is given; it needs logprobs: true")
        return None
    return _number(body, "top_logprobs", 0, int, 0, most)


def _flag(body: dict[str, Any], field: str) -> bool:
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        raise refuse(field, f"{field} is {_kind(value)}; it must be true or false")
    return bool(value)


def _number(
    body: dict[str, Any], field: str, usual: Any, kind: type, least: float, most: float
) -> Any:
    value = body.get(field)
    if value is None:
        return usual
    good = _whole(value) if kind is int else _is_number(value)
    if not good or not least <= value <= most:
        what = "a whole number" if kind is int else "a number"
        shown = repr(value) if good else _kind(value)
        raise refuse(field, f"{field} is {shown}; it must be {what} from {least} to {most}")
    return kind(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and math.isfinite(value))


def _kind(value: Any) -> str:
    """What JSON calls it."""
    names: Sequence[tuple[type, str]] = (
        (bool, "boolean"), (str, "text"), (dict, "object"), (list, "list"),
    )  # fmt: skip
    if value is None:
        return "missing"
    return next((name for kind, name in names if isinstance(value, kind)), "number")
