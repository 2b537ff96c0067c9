"""Many processes, one model: how ranks talk, and what each of them keeps.

    communicator   what a rank can do: collectives, messages, groups
    simulate       ranks as threads of one process, one at a time; counts what they send and hold
    mpi, nccl      ranks as processes; as processes with a GPU each
    collectives    rings, trees and halving, written out of single messages
    moves          what moves between ranks inside a model, as steps of the tape

    ddp            gradients summed in buckets while backward goes on
    zero, units    optimizer, gradients and weights shared out over ranks; offload: and put away
    shards         checkpoints of which each rank writes its share
    tensor         a layer's matrices cut over ranks
    context        attention over a text whose parts lie on different ranks; ring: with gradients
    experts        tokens that travel to the experts they chose
    pipeline       who computes what when the layers lie on different ranks; schedule: done for real

    layout         how many ranks share what, and this rank's place
    share, model   what a rank keeps of a Transformer under a layout, and its training step

Code for ranks is written once, as a function of a communicator. `simulate` runs it without a
cluster, the same way every time; `mpi.run` runs it for real.
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
from minilm.parallel.ddp import DataParallel
from minilm.parallel.experts import expert_parallel
from minilm.parallel.layout import Layout
from minilm.parallel.model import ParallelModel
from minilm.parallel.moves import copy_to, reduce_from
from minilm.parallel.pipeline import (
    SCHEDULES,
    Task,
    Timeline,
    pipeline_orders,
    simulate_pipeline,
)
from minilm.parallel.shards import load_shards, save_shards
from minilm.parallel.simulate import Simulated, simulate
from minilm.parallel.tensor import join_tensors, split_cross_entropy, split_tensors
from minilm.parallel.zero import Zero

__all__ = [
    "Communicator",
    "DataParallel",
    "Layout",
    "Ledger",
    "ParallelModel",
    "RankError",
    "SCHEDULES",
    "Simulated",
    "Task",
    "Timeline",
    "Zero",
    "chunks_of",
    "copy_to",
    "expert_parallel",
    "halving_all_reduce",
    "join_tensors",
    "load_shards",
    "merge",
    "pipeline_orders",
    "reduce_from",
    "ring_all_gather",
    "ring_all_reduce",
    "ring_attention",
    "ring_reduce_scatter",
    "save_shards",
    "simulate",
    "simulate_pipeline",
    "split_cross_entropy",
    "split_tensors",
    "tree_broadcast",
    "ulysses_attention",
    "work_per_rank",
    "zigzag_join",
    "zigzag_split",
]
