"""What training takes of each device: bytes held and numbers sent, by formula.

Psi stands for the parameters, N for the ranks among which they are shared. 1 GB = 1e9 bytes.
"""

import math

from minilm.errors import InputError

STAGES = {0: "plain data parallel", 1: "optimizer", 2: "optimizer and gradients", 3: "everything"}
ADAM = 12  # bytes a parameter of mixed-precision Adam: float32 copy, mean, variance


def _check_stage(stage: int) -> None:
    if stage not in STAGES:
        raise InputError(f"stage is {stage}; it must be 0, 1, 2 or 3")


def _check_above_zero(**numbers: float) -> None:
    for name, value in numbers.items():
        if not value > 0:
            raise InputError(f"{name} is {value}; it must be above 0")


def zero_memory(parameters: float, ranks: int, stage: int, optimizer: int = ADAM) -> float:
    """Bytes of weights, gradients and optimizer on each rank under ZeRO.

    Weights and gradients are 2 bytes each. Stage 0: (4 + K) Psi; 1: 4 Psi + K Psi / N;
    2: 2 Psi + (2 + K) Psi / N; 3: (4 + K) Psi / N (Rajbhandari et al. 2019, arXiv 1910.02054,
    section 3 and table 1).

    Args:
        parameters: Psi.
        ranks: N.
        stage: what is shared out, see `STAGES`.
        optimizer: K, bytes a parameter.

    Raises:
        InputError: a number is not above 0, or the stage is none.
    """
    _check_stage(stage)
    _check_above_zero(parameters=parameters, ranks=ranks, optimizer=optimizer)
    shares = [2, 2, optimizer]  # weights, gradients, optimizer; the last `stage` are shared out
    whole, shared = sum(shares[: 3 - stage]), sum(shares[3 - stage :])
    return parameters * (whole + shared / ranks)


def zero_traffic(parameters: float, ranks: int, stage: int) -> float:
    """Numbers that each rank sends in a step: 2 Psi, or 3 Psi at stage 3, times (N - 1) / N.

    Stage 3 gathers the weights twice, in the forward and in the backward (arXiv 1910.02054,
    section 7).
    """
    _check_stage(stage)
    _check_above_zero(parameters=parameters, ranks=ranks)
    return (3 if stage == 3 else 2) * parameters * (ranks - 1) / ranks


def deepspeed_memory(
    parameters: float, ranks: int, stage: int, offload: bool = False, largest: float = 0
) -> tuple[float, float]:
    """(GPU bytes a rank, CPU bytes a node) as DeepSpeed's own estimators count them.

    They keep float32 gradients beside the 16-bit ones, so they say more than `zero_memory`. Stage
    2: 2 Psi + 18 Psi / N, and with offload 2 Psi on the GPU and 1.5 Psi max(4 N, 16) on the CPU of
    one node. Stage 3: 18 Psi / N and the largest layer in float32 (DeepSpeed's stage_1_and_2.py
    and stage3.py).

    Args:
        parameters: Psi.
        ranks: N; with offload all of one node.
        stage: 2 or 3; offload is known of stage 2.
        offload: optimizer and gradients go to the CPU.
        largest: parameters of the largest layer, for stage 3.

    Raises:
        InputError: a number is not above 0, or there is no such estimator.
    """
    if stage not in (2, 3):
        raise InputError(f"stage is {stage}; DeepSpeed estimates stages 2 and 3")
    if offload and stage == 3:
        raise InputError("offload is True; only stage 2 is estimated with it")
    _check_above_zero(parameters=parameters, ranks=ranks)
    if stage == 3:
        return 18 * parameters / ranks + 4 * largest, 0.0
    if offload:
        return 2 * parameters, 1.5 * parameters * max(4 * ranks, 16)
    return parameters * (2 + 18 / ranks), 0.0


def activation_bytes(
    length: int, batch: int, channels: int, heads: int, recompute: bool = False
) -> float:
    """Bytes that a layer keeps for the backward in 16 bits: s b h (34 + 5 a s / h), or 2 s b h.

    The second is what is left where the layer is computed again from its input (Korthikanti et al.
    2022, arXiv 2205.05198, equations 1 and section 5).
    """
    _check_above_zero(length=length, batch=batch, channels=channels, heads=heads)
    if recompute:
        return 2 * length * batch * channels
    return length * batch * channels * (34 + 5 * heads * length / channels)


def bubble(stages: int, batches: int, pieces: int = 1) -> float:
    """Share of a step in which a pipeline stage idles: (p - 1) / (v m + p - 1).

    GPipe, 1F1B and, with v pieces a stage, the interleaved schedule (arXiv 2104.04473, section 2).
    `minilm.parallel.simulate_pipeline` runs them.
    """
    _check_above_zero(stages=stages, batches=batches, pieces=pieces)
    return (stages - 1) / (pieces * batches + stages - 1)


def zero_bubble(
    stages: int, batches: int, forward: float = 1.0, backward: float = 1.0, weights: float = 1.0
) -> float:
    """Share of a step in which a stage idles under ZB-H1: (p - 1)(F + B - W) over the whole step.

    The step is m (F + B + W) and that idle time (Qi et al. 2023, arXiv 2401.10241, table 2).

    Args:
        stages: p.
        batches: m; at least p.
        forward: seconds of F.
        backward: of B, the gradient of the input.
        weights: of W, the gradient of the weights.
    """
    _check_above_zero(stages=stages, batches=batches, forward=forward, backward=backward)
    idle = (stages - 1) * (forward + backward - weights)
    return idle / (batches * (forward + backward + weights) + idle)


def kept_by_segments(layers: int, segments: int) -> int:
    """Layers' worth of activations at the peak, where k segments are computed again: k + L / k.

    One input for each segment, and all of the longest while it is computed again (Chen et al. 2016,
    arXiv 1604.06174, section 4.1).
    """
    _check_above_zero(layers=layers, segments=segments)
    if segments > layers:
        raise InputError(f"segments is {segments}; it must be at most the layers, {layers}")
    return segments + math.ceil(layers / segments)


def best_segments(layers: int) -> tuple[int, int]:
    """The smallest number of segments with the smallest peak, and that peak in layers."""
    _check_above_zero(layers=layers)
    peak, segments = min((kept_by_segments(layers, k), k) for k in range(1, layers + 1))
    return segments, peak


def ring_block(flops: float, bandwidth: float) -> float:
    """Tokens a rank must hold for ring attention to hide what it sends: FLOP/s over bytes/s.

    A block of c tokens takes 4 d c^2 operations and sends 4 c d bytes of keys and values in 16 bits
    (Liu, Zaharia and Abbeel 2023, arXiv 2310.01889, section 3.1).

    Args:
        flops: of a device, per second.
        bandwidth: between neighbours, bytes per second.
    """
    _check_above_zero(flops=flops, bandwidth=bandwidth)
    return flops / bandwidth
