"""From a folder of files to a corpus that a model can be trained on: `minilm data`.

`run.prepare` goes through the stages in `stages.py`. Each is told in a file: `discover` (which
files), `documents` (their text, and what the filters say of it), `duplicates`, `cleaning`
(redaction, decontamination), `shuffling`, `tokens`. A stage works part by part, in any order and in
any process; what a part gives is written in one step (`store`), so a run that was killed goes on
with the parts that are missing. `workers` and `cluster` are who does the work; `report` and `card`
tell what was done.
"""

import importlib
from typing import Any

_WHERE = {"Settings": "settings", "prepare": "run", "Corpus": "corpus"}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"minilm.data.pipeline.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'minilm.data.pipeline' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_WHERE)
