"""The fields of a request: read, checked, and refused by name where they cannot be honoured."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from minilm.errors import InputError
from minilm.inference.rules import Rules
from minilm.inference.server.problems import Problem, refuse
from minilm.inference.server.prompts import MOST_CHOICES, Served, conversation_of, prompts_of
from minilm.inference.server.values import flag, is_number, kind_of, number
from minilm.tokenizers.chat import ends_of

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
        raise Problem(400, f"the body is a {kind_of(body)}; it must be an object")
    _refuse_foreign(body, kind)
    name = body.get("model")
    if not isinstance(name, str):
        raise refuse("model", f"model is {name!r}; it must be {served.name!r}")
    if name != served.name:
        message = f"model is {name!r}; this server has {served.name!r}"
        raise Problem(404, message, "model", "model_not_found")
    samples = number(body, "n", 1, int, 1, MOST_CHOICES)
    if body.get("best_of") not in (None, samples):
        raise refuse("best_of", "best_of differs from n; only the n that are drawn are told")
    stream = flag(body, "stream")
    options = body.get("stream_options")
    if options is not None and (not stream or not isinstance(options, dict)):
        raise refuse("stream_options", "stream_options must be an object, and needs stream")
    unknown = set(options or {}) - {"include_usage", "include_obfuscation"}
    if unknown:
        field = f"stream_options.{min(unknown)}"
        raise refuse(field, f"{field} is not known", "unknown_parameter")
    prompts = prompts_of(body, served) if kind == "completions" else conversation_of(body, served)
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
        seed=number(body, "seed", secrets.randbelow(2**31), int, -(2**63), 2**63 - 1) % 2**64,
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
    alike = type(value) is type(usual) or (is_number(value) and is_number(usual))
    return alike and value == usual


def _rules(body: dict[str, Any]) -> Rules:
    # Clients leave fields out, or send null, where they want the usual value.
    temperature = number(body, "temperature", 1.0, float, 0, 2)
    try:
        return Rules(
            temperature,
            number(body, "top_k", None, int, 1, 2**31),
            number(body, "top_p", None, float, 0, 1),
            number(body, "min_p", None, float, 0, 1),
            number(body, "repetition_penalty", 1.0, float, 0, 100),
        )
    except InputError as error:
        raise refuse(str(error).split()[0], str(error)) from None


def _room(body: dict[str, Any], kind: str, prompts: list[list[int]], served: Served) -> list[int]:
    """How many tokens each text may have."""
    field = "max_tokens"
    if kind == "chat" and body.get("max_completion_tokens") is not None:
        field = "max_completion_tokens"
    most = served.context if served.most is None else min(served.most, served.context)
    asked = number(body, field, None, int, 1, most)
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
        return number(body, "logprobs", None, int, 0, most)
    if not flag(body, "logprobs"):
        if body.get("top_logprobs"):
            raise refuse("top_logprobs", "top_logprobs is given; it needs logprobs: true")
        return None
    return number(body, "top_logprobs", 0, int, 0, most)
