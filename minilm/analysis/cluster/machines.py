"""Devices and links by name.

A message takes alpha + size / beta: a time to set off, and a time on the way (Hockney's model).
Bandwidths are those of one direction, per device. Vendors add up both directions of NVLink, so
their number is halved here. Speeds are the dense ones of 16-bit matrix products.

`efficiency`, the share of that speed which large products reach, stands in no specification: it was
set on published runs of 7 billion parameters, with the tables of the others in sight
(`tests/test_plan.py` holds them against it). Latencies are ours.
"""

from dataclasses import dataclass

from minilm.errors import InputError


@dataclass(frozen=True)
class Link:
    """alpha and beta of what connects two devices.

    Attributes:
        latency: alpha, seconds a message.
        bandwidth: beta, bytes per second in one direction.
    """

    latency: float
    bandwidth: float

    def seconds(self, size: float, messages: float = 1) -> float:
        """How long `messages` take that carry `size` bytes together."""
        return messages * self.latency + size / self.bandwidth


@dataclass(frozen=True)
class Machine:
    """A cluster of equal devices in equal nodes.

    Attributes:
        name: what `machine` knows it by.
        flops: of one device, 16-bit dense, per second.
        memory: bytes of one device.
        memory_bandwidth: bytes per second of that memory.
        node: devices that share the fast links.
        inside: the link between devices of one node.
        between: the link of each device to other nodes.
        efficiency: share of `flops` that matrix products reach.
        usable: share of `memory` that is left for a model; the rest holds libraries and gaps.
    """

    name: str
    flops: float
    memory: float
    memory_bandwidth: float
    node: int
    inside: Link
    between: Link
    efficiency: float
    usable: float = 0.92

    def link(self, inner: int, size: int) -> Link:
        """What bounds a ring of `size` devices which stand `inner` apart.

        Devices are numbered node after node. A ring that leaves its node uses the outer link of
        each of its members there at the same time, as NCCL does, but never more than the inner one;
        of its hops one leaves the node for each that enters it.
        """
        if inner * size <= self.node:
            return self.inside
        members = max(1, self.node // inner)  # of the ring, in one node
        hop = (self.between.latency + (members - 1) * self.inside.latency) / members
        return Link(hop, min(self.inside.bandwidth, members * self.between.bandwidth))


# NVIDIA A100 Tensor Core GPU datasheet (SXM, 80 GB): 312 TFLOPS, 2,039 GB/s, NVLink 600 GB/s in
# both directions together. DGX A100 system: 8 GPUs, one 200 Gb/s InfiniBand HDR port for each.
A100 = Machine(
    "a100", 312e12, 80e9, 2.039e12, 8, Link(1e-6, 300e9), Link(5e-6, 25e9), efficiency=0.72
)
# NVIDIA H100 Tensor Core GPU datasheet (SXM, 80 GB): 989 TFLOPS without sparsity, 3.35 TB/s,
# NVLink 900 GB/s. DGX H100 system: 8 GPUs, one 400 Gb/s InfiniBand NDR port for each.
H100 = Machine(
    "h100", 989e12, 80e9, 3.35e12, 8, Link(1e-6, 450e9), Link(5e-6, 50e9), efficiency=0.50
)
MACHINES = {one.name: one for one in (A100, H100)}


def machine(name: str) -> Machine:
    """The machine of a name.

    Raises:
        InputError: there is none.
    """
    if name not in MACHINES:
        raise InputError(f"machine is {name!r}; it must be one of {', '.join(MACHINES)}")
    return MACHINES[name]


def gathered(link: Link, size: float, ranks: int, pieces: float = 1) -> float:
    """Seconds of an all_gather or reduce_scatter of `size` bytes in all, on a ring of `ranks`.

    Each rank sends N - 1 messages, and (N - 1) / N of the bytes; `pieces` collectives, such as one
    a layer, do so each for its part.
    """
    if ranks == 1:
        return 0.0
    return link.seconds(size * (ranks - 1) / ranks, messages=pieces * (ranks - 1))


def reduced(link: Link, size: float, ranks: int) -> float:
    """Seconds of an all_reduce: a reduce_scatter, then an all_gather."""
    return 2 * gathered(link, size, ranks)


def exchanged(link: Link, size: float, ranks: int) -> float:
    """Seconds of an all_to_all in which each rank has `size` bytes for all together."""
    return gathered(link, size, ranks)
