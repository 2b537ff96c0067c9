"""A conversation with a fine-tuned model: what was said, and the next answer as it comes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minilm.errors import InputError
from minilm.inference.generate import steps
from minilm.inference.rules import Rules
from minilm.inference.stopping import TextStream
from minilm.tokenizers import ChatTemplate, Tokenizer, encode_chat, read_template
from minilm.tokenizers.chat import FORMATS, PLAIN, Form, Message, ends_of

RECIPE = "recipe.json"  # of a folder that `minilm train` has written


class Talk:
    """One conversation.

    Args:
        model: a `Transformer`, fine-tuned on conversations.
        tokenizer: its own.
        form: how conversations were written down for it.
        system: what it is told before the first message; None: nothing.
        tokens: of an answer, at most.
        rules: how the next token is chosen.
        seed: of the sampling; each answer draws from a stream of its own.

    Attributes:
        messages: what was said, dicts with "role" and "content".
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        form: Form,
        system: str | None = None,
        tokens: int = 256,
        rules: Rules | None = None,
        seed: int = 0,
    ) -> None:
        if tokens < 1:
            raise InputError(f"tokens is {tokens}; it must be 1 or more")
        self.model, self.tokenizer, self.form, self.tokens = model, tokenizer, form, tokens
        self.rules = Rules(temperature=0.7) if rules is None else rules
        self.seed = seed
        self.system = [] if system is None else [{"role": "system", "content": system}]
        self.messages: list[Message] = list(self.system)

    def forget(self) -> None:
        """Begin anew."""
        self.messages = list(self.system)

    def answer(self, text: str) -> Iterator[str]:
        """Say something; gives the answer piece by piece.

        Where the conversation no longer fits into the context, its oldest exchange is left out of
        what the model reads. What was said is kept only once the answer has ended, or was stopped
        after its first piece.

        Raises:
            InputError: a message that does not fit into the context by itself, or one that the
                format refuses.
        """
        asked: Message = {"role": "user", "content": text}
        ids = self._read(asked)
        stop = ends_of(self.form, self.tokenizer)
        marks = list(self.tokenizer.special.values())
        texts = [end for end in stop if isinstance(end, str)]
        shown, said = TextStream(self.tokenizer, texts), []
        room = min(self.tokens, self.model.config.context - len(ids))
        turn = self.seed + len(self.messages)
        try:
            for new in steps(
                self.model, [ids], room, self.rules, stop, turn, tokenizer=self.tokenizer
            ):
                if int(new[0]) not in marks:
                    said.append(shown.feed(int(new[0])))
                    if said[-1]:
                        yield said[-1]
            said.append(shown.finish())
            if said[-1]:
                yield said[-1]
        finally:
            if said:
                answered: Message = {"role": "assistant", "content": "".join(said).strip()}
                self.messages += [asked, answered]

    def _read(self, asked: Message) -> Any:
        """The ids of what still fits: all that was said, or the system's and the latest of it."""
        context = self.model.config.context
        room = min(self.tokens, max(1, context // 4))  # for the answer
        past = self.messages[len(self.system) :]
        while True:
            told = [*self.system, *past, asked]
            ids, _ = encode_chat(self.tokenizer, told, self.form, reply=True)
            if len(ids) + room <= context:
                return ids
            if not past:
                raise InputError(
                    f"the message has {len(ids)} tokens with what stands around it; the model "
                    f"reads {context}, and {room} of them are kept for its answer"
                )
            past = past[2:]


class Speaker:
    """A saved model that answers one question at a time; one that knows no chat goes on with it.

    Args:
        folder: of a model.
        tokens: of an answer, at most.
        rules: how the next token is chosen.
        seed: of the sampling.

    Raises:
        InputError: the folder holds no model.
    """

    def __init__(self, folder: str | Path, tokens: int, rules: Rules, seed: int = 0) -> None:
        from minilm.train import load

        self.model, self.tokenizer = load(folder)
        self.tokens, self.rules, self.seed = tokens, rules, seed
        try:
            self.form = form_of(folder, self.tokenizer)
        except InputError:
            self.form = PLAIN

    def answer(self, prompt: str) -> str:
        """The whole answer, or what is wrong with the prompt."""
        talk = Talk(self.model, self.tokenizer, self.form, None, self.tokens, self.rules, self.seed)
        try:
            return "".join(talk.answer(prompt)).strip()
        except InputError as error:
            return f"(no answer: {error})"


def form_of(folder: str | Path, tokenizer: Tokenizer) -> Form:
    """How conversations are written down for the model in a folder.

    Args:
        folder: holds a template beside its tokenizer, or was written by `minilm train --sft`.
        tokenizer: the model's.

    Raises:
        InputError: neither.
    """
    own: ChatTemplate | None = read_template(folder, tokenizer)
    if own is not None:
        return own
    path = Path(folder) / RECIPE
    try:
        name = json.loads(path.read_bytes())["template"]
    except (OSError, ValueError, KeyError, TypeError):
        name = None
    if name not in FORMATS:
        raise InputError(
            f"{str(folder)!r} does not say how conversations are written down for its model; it "
            "must hold a chat template, or be what minilm train --sft has saved"
        )
    return FORMATS[name]
