"""Images out of noise: schedules, what a network predicts, samplers, noise and blur of blocks.

    schedules   how much image and how much noise there is at each step
    targets     noise, image, velocity: three names for one prediction, and the way between them
    samplers    from noise to an image: DDPM, DDIM, Euler and Heun; guidance
    blocks      noise that survives a change of resolution, and the blur of relay diffusion

A picture x0 is mixed with noise e ~ N(0, 1) as x = alpha x0 + sigma e. Everything here is a formula
over arrays; networks that predict and the loop that trains them lie elsewhere.
"""

from minilm.diffusion.blocks import block_noise, blur_patches, dct_matrix, pool
from minilm.diffusion.samplers import (
    ddim_step,
    ddpm_step,
    edm_sigmas,
    guided,
    posterior,
    sample_ddim,
    sample_ode,
)
from minilm.diffusion.schedules import (
    cosine,
    cosine_path,
    linear,
    log_snr,
    scaled_linear,
    shift_snr,
    shift_time,
    snr,
    zero_terminal,
)
from minilm.diffusion.targets import TARGETS, convert, mix, snr_weight, target

__all__ = [
    "TARGETS",
    "block_noise",
    "blur_patches",
    "convert",
    "cosine",
    "cosine_path",
    "dct_matrix",
    "ddim_step",
    "ddpm_step",
    "edm_sigmas",
    "guided",
    "linear",
    "log_snr",
    "mix",
    "pool",
    "posterior",
    "sample_ddim",
    "sample_ode",
    "scaled_linear",
    "shift_snr",
    "shift_time",
    "snr",
    "snr_weight",
    "target",
    "zero_terminal",
]
