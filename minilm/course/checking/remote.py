"""The student's functions behind the grader's wall: a channel to a sandboxed worker."""

from typing import Any

from minilm.course.checking.student import Channel, StudentError
from minilm.sandbox.inside import wire
from minilm.sandbox.session import Session, SessionError
from minilm.sandbox.shared import SharedPack


class RemoteChannel(Channel):
    """The student's code runs in a sandboxed worker."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session, self.number = session, 0

    def exchange(self, message: dict[str, Any], pack: wire.Pack, plain: bool = False) -> Any:
        self.number += 1
        self.session.send({**message, "n": self.number}, pack)
        while True:
            answer, blobs = self.session.receive()
            try:
                if "call" in answer:
                    self._call_back(answer, blobs)
                    continue
                if answer["n"] != self.number:
                    raise wire.WireError("an answer to another question")
                if "error" in answer:
                    kind, text = answer["error"]
                    if type(kind) is not str or type(text) is not str:
                        raise wire.WireError("no words")
                    raise StudentError(kind[:20], text[:500])
                return wire.Unpack(blobs, self._value, plain).value(answer["ok"])
            except (wire.WireError, LookupError, TypeError, ValueError) as error:
                self.session.close()
                raise SessionError("broken", f"an answer that is none: {error}") from None

    def inplace(self, of: str | int, args: Any, named: dict[str, Any]) -> tuple[Any, list[Any]]:
        """Arrays among the arguments are looked at where they lie, not taken from the answer."""
        shared = self.session.shared
        pack = SharedPack(self._node, shared) if shared is not None else self.pack()
        message = {"op": "inplace", "of": of, "name": ""}
        message |= {"args": pack.node(list(args)), "named": pack.node(named)}
        answer = self.exchange(message, pack)
        if type(answer) is not tuple or len(answer) != 2 or type(answer[1]) is not list:
            self.session.close()
            raise SessionError("broken", "an answer without its arguments")
        value, said = answer
        if len(said) != len(args):
            self.session.close()
            raise SessionError("broken", "an answer with other arguments")
        if isinstance(pack, SharedPack):
            said = [pack.truth(mine, theirs) for mine, theirs in zip(args, said)]
        return value, said

    def beside(self) -> Channel:
        return RemoteChannel(self.session.beside())

    def _call_back(self, message: dict[str, Any], blobs: list[memoryview]) -> None:
        if type(message["call"]) is not int or message["call"] < 0:
            raise wire.WireError("no function")
        function = self.functions[message["call"]]
        reader = wire.Unpack(blobs, self._value)  # one for both: each blob belongs to one value
        args, named = reader.value(message["args"]), reader.value(message["named"])
        if type(args) is not list or type(named) is not dict:
            raise wire.WireError("no arguments")
        pack = self.pack()
        try:
            node = pack.node(function(*args, **named))
        except SessionError:
            raise
        except Exception as error:
            self.session.send({"raise": f"{type(error).__name__}: {error}"[:200]})
            return
        self.session.send({"value": node}, pack)

    def forget(self) -> int:
        """Drop what the student's side holds; returns how many threads it says it runs."""
        self.functions.clear()
        if self.session.shared is not None:
            self.session.shared.forget()
        answer = self.exchange({"op": "forget"}, self.pack(), plain=True)
        return answer if type(answer) is int else 0
