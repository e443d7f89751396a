"""The fenced code blocks of a text (pure)."""

from markdown_it import MarkdownIt


def code_blocks(text: str) -> list[str]:
    """The content of each fence in order, without its fence; an unclosed one ends with the text."""
    return [token.content.rstrip("\n") for token in MarkdownIt("commonmark").parse(text) if token.type == "fence"]
