"""What a study promises before its first run: a hash of the promise, with the time and the code.

A hash proves nothing against a liar, who may write a whole record by hand. It helps an honest
person against their own memory: what was said before the runs can be compared, field by field, with
what is said after them.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from minilm.studies.driver import shared
from minilm.studies.record import Record, code_state, now

Fields = dict[str, Any]


def digest(fields: Fields) -> str:
    """SHA-256 of the fields as JSON: sorted keys, no spaces, UTF-8; 64 hexadecimal digits."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def seal(hashed: str, time: str, commit: str) -> str:
    """What binds a promise to its time and its code: 16 hexadecimal digits."""
    return hashlib.sha256(f"{hashed} {time} {commit}".encode()).hexdigest()[:16]


def made(fields: Fields) -> dict[str, Any]:
    """A promise of now."""
    fields = json.loads(json.dumps(fields))
    hashed, time, commit = digest(fields), now(), code_state()
    found = {"fields": fields, "hash": hashed, "time": time, "commit": commit}
    return {**found, "seal": seal(hashed, time, commit)}


def changed(before: Fields, after: Fields) -> list[str]:
    """The names of the fields that differ."""
    after = json.loads(json.dumps(after))
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def pledge(record: Record, fields: Fields, say: Callable[[str], Any]) -> None:
    """Write a study's promise into its record, before the first run.

    Where the record has one that says something else, the first one stands and the change is kept
    beside it, with the number of runs that had been seen. Without a run nothing has been seen, so
    the new promise takes the place of the old one.

    Args:
        record: the study's.
        fields: what is promised, as JSON can hold it.
        say: called with a sentence where something has changed.
    """
    old = record.data.get("pledge")
    different = changed(old["fields"], fields) if old else []
    if old is None or (different and not record.data["runs"]):
        record.data.pop("pledge", None)  # the version of pieces depends on it
        found = shared(record, "pledge", lambda: made(fields), f"pledge {digest(fields)}")
        record.keep("pledge", found)
        return
    said = [change["hash"] for change in record.data.get("changes", [])]
    if different and digest(fields) not in said:
        runs = len(record.data["runs"])
        change = {"fields": different, "runs": runs, "time": now(), "hash": digest(fields)}
        record.keep("changes", [*record.data.get("changes", []), change])
        say(
            f"{', '.join(different)} changed after {runs} runs; what was promised before the first "
            "run stands, and the record keeps the change"
        )
