"""Receipts of writes to the memory as lines for a person (pure)."""

from memory.values import Receipt
from molting_agent.clean import clean_line

ACTIONS = {
    "added": "remembered in {place}: {text}",
    "kept": "was there already, {place}: {text}",
    "edited": "corrected in {place}: {text}",
    "removed": "removed from {place}: {text}",
    "redacted": "text taken out of {place}",
    "restored": "taken back; {place} is what it was before",
    "carried": "{text}",
    "deleted": "deleted whole, as it may have held the same: {place}",
    "forgotten": "forgotten; its file is not his and stays as it is: {place}",
}


def receipt_line(receipt: Receipt) -> str:
    """One line: what was done, and where."""
    name = receipt.path.rsplit("/", 1)[-1]
    place = f"{name}:{receipt.line}" if receipt.line else name
    pattern = ACTIONS.get(receipt.action, f"{receipt.action} {{place}}: {{text}}")
    return pattern.format(place=clean_line(place), text=clean_line(receipt.text))
