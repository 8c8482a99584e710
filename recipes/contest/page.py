"""One HTML file that needs nothing else: its style and its building blocks."""

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """\
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #ffffff; --soft: #666666;
  --line: #d5d5d5; --card: #f5f5f3; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181a; --soft: #a3a3a3; --line: #3a3d40;
    --card: #202326; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; }
h3 { font-size: 1rem; margin-bottom: 0.3rem; }
.grid { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
figure { margin: 0; padding: 0.75rem; background: var(--card); border-radius: 8px; }
figure img { display: block; width: 100%; max-width: 100%; height: auto;
  background: #ffffff; border-radius: 4px; }
figcaption { margin-top: 0.5rem; font-size: 0.875rem; color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; }
th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; overflow-wrap: normal; font-variant-numeric: tabular-nums; }
.pair { display: flex; gap: 0.5rem; align-items: flex-start; }
.pair > div { flex: 1; min-width: 0; }
.pair, .maps { font-size: 0.75rem; color: var(--soft); }
.pair img, .maps img { width: 100%; image-rendering: pixelated; }
.maps { display: grid; grid-template-columns: 1fr 1fr; gap: 0.5rem; }
blockquote { margin: 0; font-size: 0.875rem; color: var(--ink); }
ul.says { list-style: none; margin: 0.5rem 0 0; padding: 0; font-size: 0.875rem; }
.right::before { content: "\\2713\\00a0"; } .wrong::before { content: "\\2717\\00a0"; }
pre { overflow-x: auto; font-size: 0.8rem; background: var(--card); padding: 0.75rem;
  border-radius: 8px; }
small, .note { color: var(--soft); font-size: 0.875rem; }
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole page, in English."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{"".join(body)}
</body>
</html>
"""


def section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{''.join(parts)}</section>\n"


def subtitle(title: str) -> str:
    return f"<h3>{escape(title)}</h3>\n"


def paragraph(text: str, css: str = "") -> str:
    attribute = f' class="{css}"' if css else ""
    return f"<p{attribute}>{escape(text)}</p>\n"


def grid(figures: Iterable[str]) -> str:
    return f'<div class="grid">{"".join(figures)}</div>\n'


def image(source: str, alt: str) -> str:
    return f'<img src="{source}" alt="{escape(alt, quote=True)}">'


def figure(source: str, alt: str, caption: str) -> str:
    words = f"<figcaption>{escape(caption)}</figcaption>"
    return f"<figure>{image(source, alt)}{words}</figure>\n"


def table(heads: Sequence[str], lines: Iterable[Sequence[str]], label: str) -> str:
    """It scrolls by itself where it is wider than the screen."""

    def row(tag, cells):
        return f"<tr>{''.join(f'<{tag}>{escape(c)}</{tag}>' for c in cells)}</tr>\n"

    body = "".join(row("td", line) for line in lines)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead>{row('th', heads)}</thead><tbody>{body}</tbody></table></div>\n"
    )


def preformatted(text: str) -> str:
    return f"<pre>{escape(text)}</pre>\n"
