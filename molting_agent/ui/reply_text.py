"""Markdown of the model, made inert: HTML is shown and not swallowed, links only open through a question."""

from markdown_it import MarkdownIt
from textual.widgets import Markdown


def plain_parser() -> MarkdownIt:
    """GitHub's markdown without HTML: a model that writes ``<b>`` must not lose words on the screen."""
    return MarkdownIt("gfm-like", {"html": False})


class ReplyText(Markdown):
    """A Markdown widget that never opens a link by itself; ``Markdown.LinkClicked`` goes up to the screen."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text, parser_factory=plain_parser, open_links=False)
