"""Does it flicker? Frames coded one by one against four together, and two ways to decode.

    minilm study run 07g/flicker --out flicker.json

After Ming Ding (CS25 V4, 58:28-59:33): a latent that spans time takes the flicker away, and a
decoder that is a diffusion model does it better still. Videos of 8 frames of 12 by 12 pixels, one
or two things before a still texture. "frames" codes every frame for itself in 18 numbers, "causal"
four frames together in 72, "causal, half" four in 36, about the PSNR of "frames". All take the same
operations a step. Then a small video DiT learns to decode what the causal one coded: it is shown
the deterministic reconstruction and draws from noise.

In the record a video that stands still beats them all. Two reasons, found on the seed of tuning: it
has 432 numbers, they keep 144, where the best linear coders, which need no training, are not ahead
of it either (16.4 and 17.0 dB against 16.9); and 240 steps are few. With 432 numbers the linear
coders have 18.5 and 18.9 dB, and after 240 steps networks 17.6 frame by frame and 16.5 for four
together. `--numbers 54` keeps as many as the still picture has; that is not recorded.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.analysis.spectrum import spectrum_error
from minilm.backend import rng
from minilm.data.images.videos import videos
from minilm.diffusion import cosine_path, sample_ddim
from minilm.diffusion.generate import denoiser
from minilm.diffusion.training import fit, noisy_batches
from minilm.diffusion.video_dit import VideoDiT, VideoDiTConfig, as_channels, as_videos
from minilm.errors import InputError
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.vision.spacetime import flicker
from minilm.vision.video_ae import VideoAE, VideoAEConfig, causal_ae, frame_ae

PAPER, HELD, TEST = 0.4, 10_000, 64  # strength of the texture; first seed of test videos; how many
BATCH, EMA = 16, 0.99
PATCHES, FOLD = 9, 4  # of a frame; frames of "causal" in one latent
MODELS = ("frames", "causal", "causal, half")
DECODER = VideoDiTConfig(beside=1)
DECODE_STEPS = 10  # of the diffusion decoder's sampling


def shape_of(model: str, numbers: int) -> VideoAEConfig:
    """The autoencoder of a model that keeps so many numbers a frame, "half" half as many."""
    if model == "frames":
        return frame_ae(latent=numbers // PATCHES)
    return causal_ae(latent=FOLD * numbers // PATCHES // (2 if "half" in model else 1))


def ae_batches(pictures: np.ndarray, seed: int, batch: int = BATCH) -> Callable[[int], np.ndarray]:
    """Number of a batch -> videos (batch, 3, T, 12, 12)."""
    return lambda step: pictures[rng(seed, "ae", step).integers(0, len(pictures), batch)]


def measures(made: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """PSNR in dB, flicker, error of the frames' log spectrum."""
    return {
        "psnr": float(-10 * np.log10(((made - true) ** 2).mean(dtype=np.float64))),
        "flicker": flicker(made, true),
        "spectrum": spectrum_error(made, true),
    }


def final_loss(config: VideoAEConfig, lr: float, steps: int) -> float:
    """Error on held-out videos after a short run."""
    network = VideoAE(config, TUNING_SEED)
    known = videos(300, TUNING_SEED, paper=PAPER).frames
    draw = ae_batches(known, TUNING_SEED)
    fit(network, draw, steps, lr=lr, ema=EMA, loss=VideoAE.loss, progress=False)
    held = videos(TEST, HELD + TUNING_SEED, paper=PAPER).frames
    return float(((network.rebuilt(held) - held) ** 2).mean())


def diffusion_decoder(
    network: VideoAE, known: np.ndarray, held: np.ndarray, seed: int, steps: int
) -> dict[str, Any]:
    """A video DiT beside the deterministic decoder, from the same latents."""
    shown = as_channels(2 * network.rebuilt(known) - 1)
    wanted, nothing = as_channels(2 * known - 1), np.zeros(1, np.int64)
    given = np.zeros((len(known), 1), np.int64)
    draw = noisy_batches(
        wanted, given, nothing, BATCH, seed, "image", drop=0.0, beside=shown, beside_noise=0.0
    )
    decoder = VideoDiT(DECODER, seed)
    fit(decoder, draw, steps, lr=2e-3, ema=EMA, progress=False)
    beside = as_channels(2 * network.rebuilt(held) - 1)
    said = denoiser(decoder, given[: len(held)], "image", beside=beside)
    noise = rng(seed, "decode").standard_normal(beside.shape, dtype=np.float32)
    drawn = sample_ddim(said, noise, cosine_path, DECODE_STEPS, clip=1.0)
    made = np.clip((as_videos(drawn, held.shape[2]) + 1) / 2, 0, 1)
    # What one pass from pure noise expects is the decoder's mean: no step, no detail.
    mean = said(noise, 0.985)
    once = np.clip((as_videos(mean, held.shape[2]) + 1) / 2, 0, 1)
    return {
        "drawn": measures(made, held),
        "once": measures(once, held),
        "parameters": decoder.num_parameters(),
        "steps": steps,
    }


def run_one(
    model: str, seed: int, lr: float, steps: int, count: int, numbers: int
) -> dict[str, Any]:
    """Train one of `MODELS`, tested along the way; then, for "causal", its diffusion decoder."""
    shape = shape_of(model, numbers)
    network = VideoAE(shape, seed)
    known = videos(count, seed, paper=PAPER).frames
    held = videos(TEST, HELD + seed, paper=PAPER).frames
    at = {round(steps * share) for share in (0.1, 0.2, 0.4, 0.7)}
    points, testing = [], 0.0

    def test(step: int) -> None:
        points.append({"step": step, **measures(network.rebuilt(held), held)})

    def look(run: Any) -> None:
        nonlocal testing
        if run.step in at:
            began = time.process_time()
            with run.ema.applied():
                test(run.step)
            testing += time.process_time() - began

    began = time.process_time()
    draw = ae_batches(known, seed)
    fit(network, draw, steps, lr=lr, ema=EMA, loss=VideoAE.loss, after_step=look, progress=False)
    spent = time.process_time() - began - testing
    test(steps)
    still = np.broadcast_to(held.mean(2, keepdims=True), held.shape)
    made: dict[str, Any] = {
        "seed": seed,
        "lr": lr,
        "parameters": network.num_parameters(),
        "numbers": shape.numbers(held.shape[2], held.shape[4]),
        "cpu_seconds": spent,
        "still": measures(still, held),
        "points": points,
    }
    if model == "causal":
        made["decoders"] = {
            "deterministic": measures(np.clip(network.rebuilt(held), 0, 1), held),
            **diffusion_decoder(network, known, held, seed, steps),
        }
    return made


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 240,
    count: int = 1000,
    tuning: int = 50,
    numbers: int = 18,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train every autoencoder and the diffusion decoder; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "frames", "causal", "causal, half".
        seeds: of weights and videos.
        steps: of training, batch 16.
        count: training videos.
        tuning: steps of a run that tries a learning rate.
        numbers: kept of a frame, a multiple of 9; a picture that stands still has 54.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    if numbers < PATCHES or numbers % PATCHES:
        raise InputError(f"numbers is {numbers}; it must be a multiple of {PATCHES}")
    settings = {"steps": steps, "count": count, "batch": BATCH, "paper": PAPER, "test": TEST}
    settings |= {} if numbers == 18 else {"numbers": numbers}

    def shown(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        said = f"PSNR {last['psnr']:.2f}, flicker {last['flicker']:.4f}"
        if "decoders" in made:
            drawn = made["decoders"]["drawn"]
            said += f"; drawn {drawn['psnr']:.2f}, {drawn['flicker']:.4f}"
        return said

    return carry_out(
        Record(out, "flicker", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: tune(
            4e-3, lambda lr: final_loss(shape_of(model, numbers), lr, tuning), widest=4, slack=0.02
        ),
        lambda model, seed, lr: run_one(model, seed, lr, steps, count, numbers),
        shown,
        say,
        tuned_as=lambda case: case["model"].split(",")[0],
    )
