"""A page that says which model a student has made, of which functions, and shows what it writes."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minilm.course.checking.own_gpt import OF_MINILM, ROLES, OwnGPT
from minilm.course.publish.inlined import fonts_css
from minilm.course.show.figures import lines
from minilm.course.show.style import new_figure, render, styled

CSS = """
@page { size: A4; margin: 14mm }
body { font: 16px/1.5 Inter, system-ui, sans-serif; color: #1c2330; background: #fff;
 max-width: 52rem; margin: 2rem auto; padding: 1.4rem 2rem; border: 3px double #0072b2 }
h1 { font-size: 30px; margin: 0 } h2 { font-size: 17px; margin: 18px 0 6px }
img { width: 100% } pre { background: #f5f7fb; padding: 10px 14px; white-space: pre-wrap;
 overflow-wrap: anywhere; font: 14px/1.45 "JetBrains Mono", monospace }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: 3px 12px 3px 0;
 border-bottom: 1px solid #d9dee7 } th { color: #5b6678 } .faint { color: #5b6678; font-size: 14px }
"""


def certificate(
    own: OwnGPT, samples: Mapping[str, str], ledger: tuple[Sequence[str], Sequence[str]], when: str
) -> str:
    """The page, as HTML that needs no network.

    Args:
        own: the trained model.
        samples: prompt -> what the model wrote.
        ledger: the parts of minilm that run on the student's code, and all that could.
        when: the date.
    """
    ours, parts = ledger
    first, last = own.losses[0], float(np.mean(own.losses[-10:]))
    per_byte = last / own.bytes_per_token
    rows = "".join(
        f"<tr><td>{role}</td><td>{html.escape(', '.join(used(role, own)))}</td>"
        f"<td>{sum(own.calls[name] for name in used(role, own)):,}</td></tr>"
        for role in ROLES
    )
    more = {name: count for name, count in own.calls.items() if name not in _roles(own)}
    rows += "".join(f"<tr><td></td><td>{n}</td><td>{c:,}</td></tr>" for n, c in more.items())
    told = "".join(
        f"<pre><b>{html.escape(prompt)}</b>{html.escape(text)}</pre>"
        for prompt, text in samples.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A GPT of my own</title>'
        f"<style>{fonts_css()}{CSS}</style></head><body>"
        "<h1>A GPT of my own</h1>"
        f"<p>{own.model.num_parameters():,} weights, trained for {len(own.losses):,} steps in "
        f"{own.seconds:.0f} s on the Python documentation, {html.escape(when)}. Loss {first:.2f} "
        f"at the first step, {last:.2f} over the last ten, in nats per token: {per_byte:.2f} nats, "
        f"or {per_byte / math.log(2):.2f} bits, per byte.</p>"
        "<h2>Made of these functions of mine</h2>"
        f"<table><tr><th>part</th><th>function</th><th>calls</th></tr>{rows}</table>"
        f'<p class="faint">Still minilm\'s: {OF_MINILM}.</p>'
        f'<h2>How it learnt</h2><img alt="{_alt(own)}" src="data:image/png;base64,{_curve(own)}">'
        f"<h2>What it writes</h2>{told}"
        f"<h2>Ledger</h2><p>{len(ours)} of {len(parts)} parts of minilm run on my code: "
        f"{html.escape(', '.join(ours))}.</p></body></html>\n"
    )


def used(role: str, own: OwnGPT) -> list[str]:
    """The student's functions that fill a role and were called; the first that could, if none."""
    there = [name for name in ROLES[role] if name in own.parts]
    return [name for name in there if own.calls.get(name, 0)] or there[:1]


def _roles(own: OwnGPT) -> set[str]:
    return {name for role in ROLES for name in used(role, own)}


def _alt(own: OwnGPT) -> str:
    return f"The loss falls from {own.losses[0]:.2f} to {own.losses[-1]:.2f} nats per token."


def _curve(own: OwnGPT) -> str:
    with styled():
        sheet, ax = new_figure(size=(12.2, 3.8))
        lines(None, {"loss": own.losses}, ax=ax, xlabel="step", ylabel="nats per token",
              markers=False)  # fmt: skip
        picture: Any = render(sheet, _alt(own))
    return base64.b64encode(picture.png).decode()
