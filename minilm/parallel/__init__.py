"""Many processes, one model: how ranks talk, and what each of them keeps.

    communicator   what a rank can do: collectives, messages, groups
    simulate       ranks as threads of one process, one at a time; counts what they send and hold
    collectives    rings, trees and halving, written out of single messages
    pipeline       who computes what when the layers lie on different ranks
    zero           optimizer, gradients and weights shared out over ranks
    tensor         a layer's matrices cut over ranks
    context        attention over a text whose parts lie on different ranks

Code for ranks is written once, as a function of a communicator. `simulate` runs it without a
cluster, the same way every time.
"""

from minilm.parallel.collectives import (
    chunks_of,
    halving_all_reduce,
    ring_all_gather,
    ring_all_reduce,
    ring_reduce_scatter,
    tree_broadcast,
)
from minilm.parallel.communicator import Communicator, Ledger, RankError
from minilm.parallel.context import (
    merge,
    ring_attention,
    ulysses_attention,
    work_per_rank,
    zigzag_join,
    zigzag_split,
)
from minilm.parallel.moves import copy_to, reduce_from
from minilm.parallel.pipeline import SCHEDULES, Task, Timeline, simulate_pipeline
from minilm.parallel.simulate import Simulated, simulate
from minilm.parallel.tensor import join_tensors, split_cross_entropy, split_tensors
from minilm.parallel.zero import Zero

__all__ = [
    "split_tensors",
    "split_cross_entropy",
    "reduce_from",
    "join_tensors",
    "copy_to",
    "SCHEDULES",
    "Communicator",
    "Ledger",
    "RankError",
    "Simulated",
    "Task",
    "Timeline",
    "Zero",
    "chunks_of",
    "halving_all_reduce",
    "merge",
    "ring_all_gather",
    "ring_all_reduce",
    "ring_attention",
    "ring_reduce_scatter",
    "simulate",
    "simulate_pipeline",
    "tree_broadcast",
    "ulysses_attention",
    "work_per_rank",
    "zigzag_join",
    "zigzag_split",
]
