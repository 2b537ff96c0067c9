"""Words as sound, from scratch and synthetic: a letter is two resonances, buzzed or hissed.

Nobody speaks like this. Every letter sounds as it is written, and no letter changes its
neighbours; real speech does neither. What it shares with speech is what a recogniser of it needs:
letters of unknown length run into each other, voices differ, and there is noise.
"""

import numpy as np

from minilm.lamp.listener import plain

RATE = 8000  # samples a second
FRAME = 160  # samples: 20 ms
BANDS = 24
LETTERS = "abcdefghijklmnopqrstuvwxyz "
LOW, HIGH = np.linspace(300, 900, 6), np.linspace(1200, 3200, 5)  # resonances in Hz
HISSED = "cfhkpqstx"  # without a pitch


def resonances(letter: str) -> tuple[float, float]:
    """The two frequencies of a letter, in Hz; no two letters share both."""
    i = LETTERS.index(letter)
    return float(LOW[i % len(LOW)]), float(HIGH[i // len(LOW)])


def speak(text: str, rng: np.random.Generator, noise: float = 0.05) -> np.ndarray:
    """A sentence as sound, by a voice of its own.

    Args:
        text: letters and spaces; all else is left out.
        rng: chooses pitch, size of the voice, tempo, phases and noise.
        noise: amplitude of the noise, where letters have about 0.3.

    Returns:
        (N,) float64 samples at `RATE`.
    """
    pitch, size, tempo = rng.uniform(90, 220), rng.uniform(0.94, 1.06), rng.uniform(0.8, 1.25)
    parts = [
        _sound(letter, int(rng.uniform(440, 800) * tempo), pitch, size, rng)
        for letter in plain(text)
    ]
    sound = np.concatenate([np.zeros(FRAME), *parts, np.zeros(FRAME)])
    return sound + noise * rng.standard_normal(len(sound))


def _sound(
    letter: str, samples: int, pitch: float, size: float, rng: np.random.Generator
) -> np.ndarray:
    """One letter: buzz or hiss, louder at its resonances, swelling and fading."""
    if letter == " ":
        return np.zeros(samples)
    if letter in HISSED:
        tones = rng.uniform(100, 3900, 60)
    else:
        tones = pitch * np.arange(1, int(3900 / pitch))
    loud = sum(1 / (1 + ((tones - size * f) / 120) ** 2) for f in resonances(letter))
    time = np.arange(samples) / RATE
    phases = rng.uniform(0, 2 * np.pi, len(tones))
    wave = loud @ np.cos(2 * np.pi * tones[:, None] * time + phases[:, None])
    wave *= np.sin(np.pi * (np.arange(samples) + 0.5) / samples) ** 0.5
    return 0.3 * wave / (np.sqrt(np.mean(wave**2)) + 1e-9)


def bands(sound: np.ndarray) -> np.ndarray:
    """How loud each band of frequencies is in each frame: (T, BANDS), in log, about 0 to 1."""
    count = max(1, len(sound) // FRAME)
    frames = np.resize(sound, count * FRAME).reshape(count, FRAME)  # (N,) -> (T, FRAME)
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2  # (T, FRAME / 2 + 1)
    edges = np.linspace(1, power.shape[1], BANDS + 1).astype(int)
    loud = np.add.reduceat(power, edges[:-1], axis=1) / np.diff(edges)
    return np.log1p(10 * loud) / 5
