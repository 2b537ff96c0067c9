"""U-LaMPS: a lamp that learns from talk when to light up, from nothing, while it is used.

Jake Williams's processes (CS25 V4, 55:27) are record, transcribe, anticipate, train and operate:

- `speech`, `hearing`: words as synthetic sound, and a small CTC recogniser of it
- `listener`: anticipates `lit`, `dark` or nothing; solved by counting, then trained by a replay
- `turns`: what was said, corrections within a window, predict before you learn
- `state`: all of it in one file, replaced in one step
- `switch`: a real device
- `household`: people to simulate; `bayes`: what to compare with; `budget`: what it costs

Everything but `hearing` is plain NumPy: it runs on one slow core.
"""

from minilm.lamp.bayes import NaiveBayes
from minilm.lamp.household import Utterance, household
from minilm.lamp.listener import SYMBOLS, Listener
from minilm.lamp.turns import Lamp, prequential

__all__ = ["SYMBOLS", "Lamp", "Listener", "NaiveBayes", "Utterance", "household", "prequential"]
