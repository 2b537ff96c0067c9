"""What is said about code that gave no answer, and about a name that nothing has."""

import difflib
from collections.abc import Sequence

from minilm.course.checking.student import StudentError


def in_words(error: StudentError) -> str:
    """One sentence about code that gave no answer."""
    return {
        "missing": f"no cell defines `{error.text}`",
        "todo": "not written yet",
        "poison": f"this calls minilm's own `{error.text}`: write your own",
        "memory": "your code asked for more memory than it may have",
        "size": f"the answer is too large: {error.text}",
        "stop": "your iterator ended too early",
    }.get(error.kind, f"your code raised {error.text}")


def no_question(name: str, known: Sequence[str], whose: str) -> str:
    """What to say to a name that no question has: the nearest one first."""
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"question is {name!r}; {meant}the questions of {whose} are: {', '.join(known)}"
