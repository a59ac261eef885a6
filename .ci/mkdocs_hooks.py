"""What the documentation site needs beyond its plugins: equations as MathML, and the rules."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
RULES = ROOT / "leaderboard" / "RULES.md"
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.S)
BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.S)
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)\s]*)\)")


def on_page_markdown(markdown: str, page, config, files) -> str:
    """The leaderboard's page ends with its rules, which live beside its code."""
    if page.file.src_uri != "leaderboard.md" or not RULES.is_file():
        return markdown

    def within_site(link: re.Match[str]) -> str:
        place = re.fullmatch(r"(?:\.\./)?docs/(.+)", link[2])
        return f"[{link[1]}]({place[1]})" if place else link[1]

    rules = LINK.sub(within_site, RULES.read_text(encoding="utf-8"))
    return f"{markdown}\n{re.sub(r'^#', '##', rules, flags=re.M)}"


def on_page_content(content: str, page, config, files) -> str:
    """Browsers draw MathML themselves: no script, nothing to fetch."""
    content = INLINE.sub(lambda m: convert(html.unescape(m[1])), content)

    def shown(block: re.Match[str]) -> str:
        math = convert(html.unescape(block[1]).strip(), display="block")
        return f'<div class="equation">{math}</div>'

    return BLOCK.sub(shown, content)


def on_post_build(config) -> None:
    """With NOGS_BENCH_BOARD the leaderboard's page is made too, as `board/index.html`."""
    if os.environ.get("NOGS_BENCH_BOARD"):
        from nogs_bench.leaderboard.page import build

        build(ROOT / "leaderboard" / "results", Path(config.site_dir) / "board")
