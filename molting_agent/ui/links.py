"""What is asked before a link of the model opens (pure)."""

from urllib.parse import urlsplit

from molting_agent.clean import clean_line


def link_question(href: str) -> tuple[str, str]:
    """The question and the address; the address is "" when it will not be opened, then the first says why.

    The host is shown in ASCII, so that a look-alike letter cannot pass for another.
    """
    url = clean_line(href)
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        return "Not opened: this is not an address.", ""
    if parts.scheme not in ("http", "https") or not host:
        return "Not opened: only http and https links are.", ""
    return f"Open a page of {host}?", url
