"""The student's functions as a test sees them, in the same notebook or behind the grader's wall.

A test calls `student.rope(x, cos, sin)` and gets plain values either way: arguments and answers
are copied, so neither side can change what the other holds, and an answer is what it is made of.
What has no plain form (a class instance, a generator, a pullback) is `Held`: it can be called,
asked for attributes and items, and iterated.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from minilm.course.checking.limit import TimeIsUp
from minilm.course.checking.look import Call
from minilm.course.checking.own_code import uses_package
from minilm.sandbox.inside import wire
from minilm.sandbox.inside.worker import Worker, _Missing


class StudentError(Exception):
    """The student's code gave no answer.

    `kind` is "missing", "todo", "poison", "memory", "size", "error" or "stop".
    """

    def __init__(self, kind: str, text: str = "") -> None:
        super().__init__(text)
        self.kind, self.text = kind, text


class Student:
    """The namespace of a student; every attribute is a function or class of theirs."""

    def __init__(self, channel: "Channel") -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Function(self._channel, name)

    def call_inplace(self, name: str, *args: Any, **named: Any) -> tuple[Any, list[Any]]:
        """Call a function that changes its arguments: its result, and the arguments afterwards."""
        return self._channel.inplace(name, args, named)

    def kernel_source(self, name: str) -> Any:
        """The source of a CUDA kernel, for `minilm.course.checking.kernel_answers.launch`."""
        return self._channel.ask("source", name, plain=True)

    def run_kernel(self, *arguments: Any) -> Any:
        """Runs such a source in the emulator, where no code of the student's has run."""
        return self._channel.beside().ask("launch", "", args=arguments)


class _Function:
    def __init__(self, channel: "Channel", name: str) -> None:
        self._channel, self._name = channel, name

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._channel.ask("call", self._name, args=args, named=named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._channel.ask("get", self._name, name=name)


class Held:
    """A value that stayed with the student: call it, read its attributes, iterate over it."""

    def __init__(self, channel: "Channel", number: int, kind: str) -> None:
        self._channel, self._number, self.kind_ = channel, number, kind

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._channel.ask("call", self._number, args=args, named=named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._channel.ask("get", self._number, name=name)

    def __getitem__(self, key: Any) -> Any:
        return self._channel.ask("item", self._number, args=[key])

    def __len__(self) -> int:
        try:
            length = self._channel.ask("len", self._number, plain=True)
        except StudentError as error:  # list(x) asks for a length too, and expects a TypeError
            raise TypeError(error.text) from None
        if type(length) is not int or length < 0:
            raise TypeError("its length is no number")
        return length

    def __iter__(self) -> Iterator[Any]:
        iterator = self._channel.ask("iter", self._number)
        if not isinstance(iterator, Held):
            raise StudentError("error", "it cannot be iterated over")
        while True:
            try:
                yield self._channel.ask("next", iterator._number)
            except StudentError as error:
                if error.kind == "stop":
                    return
                raise


class Channel:
    """How values travel to a student's code and back; subclasses say by which way."""

    def __init__(self) -> None:
        self.functions: list[Callable] = []

    def ask(
        self,
        op: str,
        of: str | int,
        *,
        name: str = "",
        args: Any = (),
        named: Mapping[str, Any] | None = None,
        plain: bool = False,
    ) -> Any:
        """Do one operation on a name or on a held value; see `exchange` for `plain`."""
        pack = self.pack()
        message = {"op": op, "of": of, "name": name}
        message |= {"args": pack.node(list(args)), "named": pack.node(dict(named or {}))}
        return self.exchange(message, pack, plain)

    def exchange(self, message: dict[str, Any], pack: wire.Pack, plain: bool = False) -> Any:
        """Send one request and return the value of its answer.

        With `plain`, that is a number, a text, or lists and dictionaries of such.
        """
        raise NotImplementedError

    def inplace(self, of: str | int, args: Any, named: dict[str, Any]) -> tuple[Any, list[Any]]:
        """Call a function: its result, and its arguments afterwards."""
        return self.ask("inplace", of, args=args, named=named)

    def again(self) -> Any:
        """The result of the last `inplace` once more, for the very arguments that it left."""
        return self.ask("again", "")

    def beside(self) -> "Channel":
        """A way to a worker that the student's code cannot touch."""
        return self

    def pack(self) -> wire.Pack:
        return wire.Pack(self._node)

    def unpack(self, blobs: list[memoryview], node: Any) -> Any:
        return wire.Unpack(blobs, self._value).value(node)

    def _node(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Held):
            return {"h": [value._number]}
        if callable(value):
            self.functions.append(value)
            return {"f": len(self.functions) - 1}
        raise TypeError(f"a test cannot send a {type(value).__name__} to a student's function")

    def _value(self, mark: str, part: Any) -> Any:
        if mark == "h":
            number, kind, _ = part
            if type(number) is not int or type(kind) is not str:
                raise wire.WireError("no handle")
            return Held(self, number, kind[:80])
        if mark == "f":
            if type(part) is not int or not 0 <= part < len(self.functions):
                raise wire.WireError("no function")
            return self.functions[part]
        raise wire.WireError(f"unknown mark {mark!r}")


class _Local(Worker):
    """The worker's own way to answer, in this process and on this namespace."""

    def __init__(self, names: Mapping[str, Any], channel: Channel) -> None:
        super().__init__(-1, -1)
        self.space, self.channel = names, channel
        self.unpacked: list[Any] = []

    def find(self, name: str) -> Any:
        if name not in self.space:
            raise _Missing(name)
        found = self.space[name]
        if uses_package(found, name):
            raise StudentError("poison", name)
        return found

    def unpack(self, blobs: list[memoryview], node: Any) -> Any:
        value = super().unpack(blobs, node)
        self.unpacked.append(value)
        return value

    def other(self, mark: str, part: Any) -> Any:
        if mark == "f":
            return self.channel.functions[part]
        return super().other(mark, part)


class LocalChannel(Channel):
    """The student's code runs here, as `check` needs it in a notebook.

    `calls` holds the calls by name since it was last cleared.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__()
        self.worker = _Local(names, self)
        self.calls: list[Call] = []

    def ask(
        self,
        op: str,
        of: str | int,
        *,
        name: str = "",
        args: Any = (),
        named: Mapping[str, Any] | None = None,
        plain: bool = False,
    ) -> Any:
        """As of every channel; a call by name is noted, with what it did to its arguments."""
        if op not in ("call", "inplace") or not isinstance(of, str):
            return super().ask(op, of, name=name, args=args, named=named, plain=plain)
        call = Call(of, tuple(args), dict(named or {}))
        self.calls.append(call)
        self.worker.unpacked = []
        try:
            return super().ask(op, of, args=args, named=named)
        finally:
            if op == "call" and len(self.worker.unpacked) == 2:
                given, by_name = self.worker.unpacked
                call.got = [*given, *by_name.values()]

    def exchange(self, message: dict[str, Any], pack: wire.Pack, plain: bool = False) -> Any:
        try:
            value = self.worker.perform(message, [memoryview(blob) for blob in pack.blobs])
            answer = self.worker.pack()
            node = answer.node(value)
        except (StudentError, KeyboardInterrupt, TimeIsUp):
            raise
        except wire.TooLargeError as error:
            raise StudentError("size", str(error)) from None
        except BaseException as error:
            raise StudentError(*self.worker.describe(error)) from None
        return self.unpack([memoryview(blob) for blob in answer.blobs], node)
