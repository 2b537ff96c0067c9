"""What a page carries within itself: files as addresses, typefaces, style sheets, scripts."""

from __future__ import annotations

import base64
import functools
import re
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
TEMPLATES = Path(__file__).parent / "templates"


def data_address(path: Path, mime: str) -> str:
    """A file as an address that carries its content."""
    return f"data:{mime};base64,{base64.b64encode(path.read_bytes()).decode()}"


@functools.cache
def fonts_css() -> str:
    """The course's typefaces, inlined."""
    faces = [
        ("Inter", 400, "normal", "Inter-Regular"),
        ("Inter", 600, "normal", "Inter-SemiBold"),
        ("Inter", 400, "italic", "Inter-Italic"),
        ("JetBrains Mono", 400, "normal", "JetBrainsMono-Regular"),
        ("JetBrains Mono", 600, "normal", "JetBrainsMono-SemiBold"),
    ]
    return "\n".join(
        f"@font-face{{font-family:'{family}';font-weight:{weight};font-style:{style};"
        f"src:url({data_address(ASSETS / 'fonts' / f'{name}.woff2', 'font/woff2')})}}"
        for family, weight, style, name in faces
    )


@functools.cache
def katex_css() -> str:
    """KaTeX's style sheet with its fonts inlined."""
    css = (ASSETS / "katex.min.css").read_text(encoding="utf-8")

    def inline(found: re.Match[str]) -> str:
        address = data_address(ASSETS / "katex-fonts" / found[1], "font/woff2")
        return f'src:url({address}) format("woff2")'

    return re.sub(r"src:url\(fonts/([\w-]+\.woff2)\)[^;}]*", inline, css)


def script(name: str) -> str:
    """A script of ours or of the vendored assets, safe to stand inside a page."""
    folder = TEMPLATES if (TEMPLATES / name).exists() else ASSETS
    return (folder / name).read_text(encoding="utf-8").replace("</script", "<\\/script")
