"""Images out of noise: schedules, what a network predicts, samplers, noise and blur of blocks.

    schedules   how much image and how much noise there is at each step
    targets     noise, image, velocity: three names for one prediction, and the way between them
    samplers    from noise to an image: DDPM, DDIM, Euler and Heun; guidance
    blocks      noise that survives a change of resolution, and the blur of relay diffusion

A picture x0 is mixed with noise e ~ N(0, 1) as x = alpha x0 + sigma e. These four are formulas over
arrays. The rest is imported by its own name (`from minilm.diffusion.dit import DiT`):

    dit, mmdit, unet   networks that predict; `conditioning`: how they are told time and label
    video_dit          a DiT over blocks of frames and pixels
    training           batches, the loss, and training by the house's own step
    generate           a network as a denoiser, with guidance, and pictures drawn with it
    relay              the second stage that goes on from a small picture, and the cascade
    distil             two steps of a teacher in one of a student
    judge              a classifier that names pictures, and what a generator is measured by
    worlds             what `minilm train --images` learns from, and how a text asks for it
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
