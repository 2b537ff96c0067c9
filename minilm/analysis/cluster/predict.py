"""Memory, seconds and bytes of one training step under a layout, from an alpha-beta model.

Weights, gradients and activations have 16 bits, Adam's three numbers 32. What cannot be hidden
behind computing is added to it: tensor-parallel sums always, messages of the pipeline always,
gradients and weights of ZeRO and keys and values of ring attention only as far as they take longer
than what runs beside them. It is a model for choosing, not a stopwatch: `tests/test_plan.py` holds
it against published runs, from which it is 20 % away at most, with one exception of 35 %.
"""

from dataclasses import dataclass, replace

from minilm.analysis.cluster.formulas import ADAM
from minilm.analysis.cluster.layouts import Job, Layout
from minilm.analysis.cluster.machines import Link, Machine, exchanged, gathered, reduced

HALF = 2  # bytes of a weight, a gradient, an activation
TOUCHED = 6  # times that what a layer keeps passes through memory in forward and backward
SCORES = 0.5  # speed of attention's own products beside plain ones: set on the same runs
NETWORK = ("tensor", "context", "experts", "pipeline", "data")


@dataclass(frozen=True)
class Prediction:
    """What a step takes.

    Attributes:
        layout: of the step.
        memory: kind -> bytes of the fullest device.
        seconds: part -> seconds of the step; parts add up to it.
        sent: part -> bytes that the busiest device sends in a step.
        step: seconds.
        tokens_per_second: of all devices.
        mfu: share of the devices' full speed that the model's own operations reach.
        room: bytes of a device that a model may use.
    """

    layout: Layout
    memory: dict[str, float]
    seconds: dict[str, float]
    sent: dict[str, float]
    step: float
    tokens_per_second: float
    mfu: float
    room: float

    @property
    def held(self) -> float:
        """Bytes of the fullest device."""
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        """Whether they are there."""
        return self.held <= self.room

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the step: computing, the devices' own memory, the network, the bubble."""
        s = self.seconds
        return {
            "compute": s["compute"] / self.step,
            "memory speed": (s["elementwise"] + s["optimizer"]) / self.step,
            "network": sum(s[name] for name in NETWORK) / self.step,
            "bubble": s["bubble"] / self.step,
        }

    @property
    def bound(self) -> str:
        """What takes most of the step."""
        return max(self.shares, key=self.shares.__getitem__)

    @property
    def loss(self) -> str:
        """What besides computing takes most."""
        rest = {name: share for name, share in self.shares.items() if name != "compute"}
        return max(rest, key=rest.__getitem__)


@dataclass(frozen=True)
class _Parts:
    """Parameters of one device: those that all data ranks share, and its experts."""

    common: float
    experts: float


def _parameters(job: Job, layout: Layout) -> _Parts:
    """Of the fullest pipeline rank: its layers, and one of the two ends."""
    s, layers = job.sizes, job.sizes.layers / layout.pp
    dense = s.attention + (s.expert if s.experts == 1 else 0)
    ends = s.ends if layout.pp == 1 else s.vocabulary * s.channels
    routed = layers * s.experts * s.expert if s.experts > 1 else 0
    return _Parts((layers * dense + ends) / layout.tp, routed / layout.tp / layout.ep)


def kept_bytes(job: Job, layout: Layout) -> float:
    """Bytes that one micro-batch keeps in one layer of one device.

    Of a token and channel: 4 for two norms, 11 in attention, 2 + 16 + 1 in a net four times as wide
    (arXiv 2205.05198, section 4.1); a gated net keeps three widths and not two, grouped heads keep
    less. All are cut by tensor ranks, because norms run on parts of the text (sequence parallel).
    """
    s = job.sizes
    tokens = job.length * layout.micro / layout.cp
    if layout.recompute == "full":
        return HALF * tokens * s.channels / layout.tp
    attention = 7 + 4 * s.kv_heads / s.heads
    net = 3 + 2 * HALF * s.width / s.channels * (1.5 if s.maps == 3 else 1)
    one = s.channels * (4 + attention + s.chosen * net)
    if layout.recompute == "none":
        one += 5 * s.heads * job.length
    return tokens * one / layout.tp


def _memory(job: Job, layout: Layout, parts: _Parts) -> dict[str, float]:
    s, stage = job.sizes, layout.stage
    ranks = layout.dp * layout.cp
    common, experts = parts.common, parts.experts
    spread = [  # parameters held of weights, gradients, optimizer
        common / (ranks if stage >= first else 1)
        + experts / (ranks / layout.ep if stage >= first else 1)
        for first in (3, 2, 1)
    ]
    batches = job.batch // (layout.dp * layout.micro)
    layers = s.layers / layout.pp
    waiting = 1.0 if layout.pp == 1 else min(layout.pp, batches)
    if layout.pieces > 1:
        waiting *= 1 + (layout.pp - 1) / (layout.pp * layout.pieces)
    activations = waiting * layers * kept_bytes(job, layout)
    if layout.recompute == "full":  # one layer at a time is whole
        activations += kept_bytes(job, replace(layout, recompute="selective"))
    gathered_layers = 0.0
    if stage == 3:  # two layers are whole: one that runs, one that is fetched
        gathered_layers = 2 * HALF * (common + experts) / max(layers, 1)
    # Logits and their gradient in float32, on the last rank, where one micro-batch waits.
    logits = 8 * job.length * layout.micro * s.vocabulary / layout.tp / layout.cp
    if layout.pp > 1:
        first, last = activations, activations - (waiting - 1) * layers * kept_bytes(job, layout)
        activations, logits = (first, 0.0) if first > last + logits else (last, logits)
    return {
        "weights": HALF * spread[0] + gathered_layers,
        "gradients": HALF * spread[1],
        "optimizer": ADAM * spread[2],
        "activations": activations,
        "logits": logits,
    }


def _sent(job: Job, layout: Layout, parts: _Parts) -> dict[str, float]:
    """Bytes that the busiest device sends in a step."""
    s = job.sizes
    batches = job.batch // (layout.dp * layout.micro)
    layers = s.layers / layout.pp
    block = HALF * job.length * layout.micro / layout.cp * s.channels  # a micro-batch's channels
    sums = 4 + 2 * (layout.recompute == "full")
    keys = 2 * block * s.kv_heads * s.head / s.channels / layout.tp  # keys and values of a rank

    def share(ranks: int) -> float:
        return (ranks - 1) / ranks

    ranks = layout.dp * layout.cp
    moved = {0: 2, 1: 2, 2: batches + 1, 3: 3 * batches}[layout.stage]  # times the parameters
    rounds = 2 * layout.pieces - (layout.pp == 2)  # of two ranks, each sends one way once more
    return {
        "tensor": batches * layers * sums * 2 * block * share(layout.tp),
        "context": batches * layers * 3 * keys * (layout.cp - 1),
        "experts": batches * layers * 4 * s.chosen * block / layout.tp * share(layout.ep)
        if s.experts > 1
        else 0.0,
        "pipeline": batches * rounds * block / layout.tp if layout.pp > 1 else 0.0,
        "data": moved
        * HALF
        * (parts.common * share(ranks) + parts.experts * share(ranks // layout.ep)),
    }


def predict(job: Job, machine: Machine, layout: Layout) -> Prediction:
    """Memory, seconds and bytes of one step.

    Raises:
        InputError: the job cannot be cut so.
    """
    job.check_layout(layout)
    s, parts = job.sizes, _parameters(job, layout)
    batches = job.batch // (layout.dp * layout.micro)
    layers = s.layers / layout.pp
    tokens = job.length * layout.micro / layout.cp  # of a micro-batch, on a context rank
    speed = machine.flops * machine.efficiency

    # One micro-batch on one stage: forward, backward, what is computed again.
    scores = 2 * job.length * s.heads * s.head / SCORES  # half of the square, a token and layer
    forward = tokens * layers * (2 * s.active + scores) / layout.tp / speed
    output = tokens * 2 * s.vocabulary * s.channels / layout.tp / speed
    again = {"none": 0.0, "full": forward}.get(
        layout.recompute, tokens * layers * scores / layout.tp / speed
    )
    whole = kept_bytes(job, replace(layout, recompute="selective"))
    passes = TOUCHED + (2 if layout.recompute == "full" else 0)
    touched = passes * layers * whole / machine.memory_bandwidth
    compute = 3 * forward + again + 3 * output

    inner = layout.tp
    block = HALF * tokens * s.channels
    sums = (4 + 2 * (layout.recompute == "full")) * layers
    tensor = sums * reduced(machine.link(1, layout.tp), block, layout.tp)
    context = 0.0
    if layout.cp > 1:
        keys = 2 * block * s.kv_heads * s.head / s.channels / layout.tp
        turn = machine.link(inner, layout.cp).seconds(keys)
        beside = tokens * scores / layout.tp / speed / layout.cp  # attention to one block
        context = (
            layers * (layout.cp - 1) * (max(0.0, turn - beside) + max(0.0, 2 * turn - 2 * beside))
        )
    inner *= layout.cp
    routed = 0.0
    if layout.ep > 1:
        link = machine.link(inner, layout.ep)
        routed = layers * 4 * exchanged(link, s.chosen * block / layout.tp, layout.ep)
    ranks = layout.dp * layout.cp
    link = machine.link(layout.tp, ranks)
    message = 0.0
    if layout.pp > 1:
        between = machine.link(layout.tp * ranks, layout.pp)
        message = between.seconds(2 * layout.pieces * block / layout.tp, 2 * layout.pieces)

    one = compute + touched + tensor + context + routed + message
    bubble = (layout.pp - 1) / layout.pieces * one
    data = _data(layout, parts, link, ranks, layers, batches, forward + output + touched / 3,
                 2 * forward + again + 2 * output + 2 * touched / 3)  # fmt: skip
    updated = parts.common / (ranks if layout.stage else 1) + parts.experts / (
        ranks / layout.ep if layout.stage else 1
    )
    seconds = {
        "compute": batches * compute,
        "elementwise": batches * touched,
        "tensor": batches * tensor,
        "context": batches * context,
        "experts": batches * routed,
        "pipeline": batches * message,
        "bubble": bubble,
        "data": data,
        "optimizer": 2 * (ADAM + HALF) * updated / machine.memory_bandwidth,
    }
    step = sum(seconds.values())
    return Prediction(
        layout,
        _memory(job, layout, parts),
        seconds,
        _sent(job, layout, parts),
        step,
        job.tokens / step,
        job.flops() / step / (layout.devices * machine.flops),
        machine.memory * machine.usable,
    )


def _data(
    layout: Layout,
    parts: _Parts,
    link: Link,
    ranks: int,
    layers: float,
    batches: int,
    forward: float,
    backward: float,
) -> float:
    """Seconds of gradients and weights over data ranks, layer by layer, that nothing hides."""
    once = gathered(link, HALF * parts.common, ranks, layers)
    if parts.experts:
        once += gathered(link, HALF * parts.experts, ranks // layout.ep, layers)
    if layout.stage == 3:
        return batches * (max(0.0, once - forward) + max(0.0, 2 * once - backward))
    if layout.stage == 2:
        return batches * max(0.0, once - backward) + max(0.0, once - forward)
    return max(0.0, once - backward) + max(0.0, once - forward)
