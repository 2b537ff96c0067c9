"""What training takes of a cluster: bytes held, bytes sent, seconds; and which layout is best.

formulas   ZeRO, activations, bubbles, segments: what papers write down
machines   devices and links by name: FLOP/s, bytes, bytes per second
models     a transformer of a wanted size
layouts    how one training step is cut over devices
predict    memory, seconds and bytes of a step under a layout
search     the best layouts of a cluster, or what would be needed
calibrate  links and seconds measured on the machine at hand, and a step predicted from them
"""

from minilm.analysis.cluster.calibrate import (
    fit_link,
    measure_collectives,
    measure_work,
    predicted_step,
)
from minilm.analysis.cluster.formulas import (
    ADAM,
    STAGES,
    activation_bytes,
    best_segments,
    bubble,
    deepspeed_memory,
    kept_by_segments,
    ring_block,
    zero_bubble,
    zero_memory,
    zero_traffic,
)
from minilm.analysis.cluster.layouts import RECOMPUTE, Job, Layout
from minilm.analysis.cluster.machines import MACHINES, Link, Machine, machine
from minilm.analysis.cluster.models import transformer_of
from minilm.analysis.cluster.predict import Prediction, predict
from minilm.analysis.cluster.search import layouts, search, smallest

__all__ = [
    "ADAM",
    "MACHINES",
    "RECOMPUTE",
    "STAGES",
    "Job",
    "Layout",
    "Link",
    "Machine",
    "Prediction",
    "activation_bytes",
    "best_segments",
    "bubble",
    "deepspeed_memory",
    "fit_link",
    "kept_by_segments",
    "layouts",
    "machine",
    "measure_collectives",
    "measure_work",
    "predict",
    "predicted_step",
    "ring_block",
    "search",
    "smallest",
    "transformer_of",
    "zero_bubble",
    "zero_memory",
    "zero_traffic",
]
