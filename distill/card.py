"""The data card of a written dataset: every figure counted from its rows, for a person to read."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from distill.topics import Topic, topics
from memory.scrub.spans import PLACEHOLDER

Row = dict[str, Any]
SPLITS = ("train", "heldout", "heldout_newest")
BAR_CHARS = 30
TOKEN_EDGES = (64, 128, 256, 512, 1024, 2048, 4096)
WORD_EDGES = (5, 10, 20, 40, 80, 160, 320)


def figures(examples: Sequence[Row], pairs: Sequence[Row]) -> dict[str, Any]:
    """What can be counted in the rows: by split, by format, by system prompt, dates, rationales, pairs by kind."""
    by_split = {name: _counts([row for row in examples if row["split"] == name]) for name in SPLITS}
    dates = sorted(row["started_at"][:10] for row in examples if row["started_at"])
    train = [row for row in examples if row["split"] == "train"]
    replies = [message for row in examples for message in row["messages"] if message["target"]]
    return {
        "all": _counts(examples),
        "splits": by_split,
        "formats": _conversations_by("format", examples),
        "sources": len({row["source"] for row in examples}),
        "own_conversations": len({row["conversation"] for row in examples if row["own"]}),
        "first_day": dates[0] if dates else "",
        "last_day": dates[-1] if dates else "",
        "train_with_identity": sum(row["system"] == "identity" for row in train),
        "replies_with_rationale": sum(bool(reply["rationale"]) for reply in replies),
        "grounds": dict(Counter(why for row in examples for why in row["target_grounds"]).most_common()),
        "pairs": dict(Counter(row["kind"] for row in pairs).most_common()),
        "placeholders": dict(_placeholders(examples).most_common()),
        "tokens_sha256": hashlib.sha256(repr([row["tokens"] for row in examples]).encode()).hexdigest(),
    }


def _placeholders(examples: Sequence[Row]) -> Counter[str]:
    """How many placeholders such as [EMAIL_1] stand in the conversations, by kind."""
    texts = (m["content"] for row in examples for m in row["messages"] if m["role"] != "system")
    return Counter(match[1] for text in texts for match in PLACEHOLDER.finditer(text))


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    return {
        "conversations": len({row["conversation"] for row in rows}),
        "examples": len(rows),
        "replies": sum(len(row["target_ids"]) for row in rows),
        "tokens": sum(row["n_tokens"] for row in rows),
        "target_tokens": sum(row["n_target_tokens"] for row in rows),
    }


def _conversations_by(column: str, rows: Sequence[Row]) -> dict[str, int]:
    named = {(row["conversation"], row[column]) for row in rows}
    return dict(Counter(name for _conversation, name in named).most_common())


def card(examples: Sequence[Row], pairs: Sequence[Row], made: dict[str, Any]) -> str:
    """The whole of dataset.md; ``made`` as in ``dataset_files.write``."""
    found = figures(examples, pairs)
    every, train = found["all"], found["splits"]["train"]
    days = f"{found['first_day']} to {found['last_day']}" if found["first_day"] else "no dates"
    replies = [message for row in examples for message in row["messages"] if message["target"]]
    withheld = {reason: count for reason, count in made["left_out"].items() if "labelled" in reason}
    sections = [
        "# Dataset\n\n"
        f"{every['replies']:,} replies in {every['conversations']:,} conversations, {days}, as {every['examples']:,} "
        f"examples in the chat template of {made['base_name']}; {len(pairs):,} preference pairs. "
        f"Made {made['created_at']} by `python -m distill dataset`.",
        "## Sides\n\n"
        "The side is drawn by the hash of the conversation's id, so that no conversation changes it. `heldout_newest` "
        f"are the newest {made['config']['newest_share']:.0%} of what is held out: compare the two to see whether he "
        "keeps up with what is new.\n\n"
        + _table(
            ("split", "conversations", "examples", "replies", "tokens", "learnt tokens"),
            [(name, *counts.values()) for name, counts in (*found["splits"].items(), ("all", every))],
        ),
        "## Lengths\n\nTokens of an example, without its system prompt:\n\n"
        + bars([row["n_tokens"] for row in examples], TOKEN_EDGES)
        + "\n\nWords of a reply that is learnt:\n\n"
        + bars([len(reply["content"].split()) for reply in replies], WORD_EDGES)
        + f"\n\nAn example has at most {made['config']['conversation_tokens']:,} tokens; a longer conversation is "
        "divided before a question, a reply is never cut. Held-out conversations stay whole.",
        f"## Sources\n\n{found['sources']:,} files or exports; {found['own_conversations']:,} of the conversations are "
        "our own.\n\n"
        + _table(("format", "conversations"), found["formats"].items())
        + "\n\nWhy a reply may be learnt:\n\n"
        + _table(("ground", "replies"), found["grounds"].items()),
        "## Context and rationales\n\n"
        f"System prompt: the whole identity on {_share(found['train_with_identity'], train['examples'])} of the "
        f"training examples ({made['system_tokens']['identity']:,} tokens), the short one "
        f"({made['system_tokens']['short']:,}) on the others. A retraining deals the two out by packed rows and anew "
        "each epoch; this is its first epoch. Held-out conversations carry the identity here and are judged under "
        f"both.\n\nA rationale stands beside {_share(found['replies_with_rationale'], every['replies'])} of the "
        "replies, in its own field; it is not part of the tokens.",
        "## Left out\n\n"
        f"Of {made['conversations_read']:,} conversations read. Each line counts replies unless it says otherwise; "
        "what is left out may still be context, except after a label.\n\n"
        + _table(("reason", "count"), made["left_out"].items()),
        "## Labels and scrubbing\n\n"
        f"Withheld because of a label: {sum(withheld.values()):,} replies. `private` and `never-train` turns are not "
        "even context: a conversation ends before the first of them.\n\n"
        "Conversations are scrubbed when they are read, and once more on their way here with the memories shown in "
        "them. Placeholders that stand in the conversations:\n\n"
        + _table(("kind", "count"), found["placeholders"].items())
        + "\n\nOf the secrets and personal data that the second pass alone took out (rationales and pairs "
        "included):\n\n" + _table(("kind", "count"), made["redactions"].items()),
        "## Preference pairs\n\n"
        "`edit`: the person's edit before what was said. `branch`: the reply that was kept before one on a branch not "
        "taken. `thumb`: a reply with a thumb up before one to the same question with a thumb down.\n\n"
        + _table(("kind", "pairs"), found["pairs"].items()),
        "## Topics\n\nGroups of conversations by their words (TF-IDF, non-negative factors); each conversation counts "
        "in one group.\n\n" + _topics(topics(examples)),
        _how(made, found["tokens_sha256"]),
    ]
    return "\n\n".join(sections) + "\n"


def _how(made: dict[str, Any], tokens_sha256: str) -> str:
    removed = made.get("rows_removed", 0)
    lines = [
        "## How it was made",
        "`examples.parquet`: one row an example. `messages` (role, content, rationale, target) begin with the system "
        "prompt that `system` names, scrubbed; `tokens` and `is_target` are the rest in the runtime's own tokens, the "
        "same that a retraining reads. `target_ids` are the learnt messages and `target_grounds` why, `source_ids` all "
        "messages and memories in the row, `part` counts the parts of a divided conversation. `pairs.parquet`: "
        "`prompt`, `chosen` and `rejected`. Both: `conversation`, `source`, `format`, `started_at`, `split`.",
        "What is forgotten in the home leaves a dataset under its `datasets` folder too. A copy elsewhere is yours to "
        "delete.",
    ]
    if removed:
        lines.append(f"{removed:,} rows were removed since because their source was forgotten.")
    settings = [(key, f"`{value}`") for key, value in made["config"].items()]
    hashes = [(f"sha256 of {name}", f"`{value}`") for name, value in made["sha256"].items()]
    hashes.append(("sha256 of the tokens of all examples", f"`{tokens_sha256}`"))
    return "\n\n".join([*lines, _table(("setting", "value"), [*settings, *hashes])])


def _share(count: int, whole: int) -> str:
    return f"{count:,} of {whole:,} ({count / whole:.0%})" if whole else "0 of 0"


def _topics(found: Sequence[Topic]) -> str:
    if not found:
        return "Too few conversations to group."
    return _table(("words", "conversations"), [(", ".join(topic.words), topic.conversations) for topic in found])


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; "None." when it would be empty."""
    lines = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    if not lines:
        return "None."
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(head), rule, *lines])


def bars(values: Sequence[int], edges: Sequence[int]) -> str:
    """A histogram in text: one line a class (up to and including its edge), with a bar and the count."""
    counts = [0] * (len(edges) + 1)
    for value in values:
        counts[sum(value > edge for edge in edges)] += 1
    labels = [f"up to {edge:,}" for edge in edges] + [f"over {edges[-1]:,}"]
    most = max(*counts, 1)
    last = max((place for place, count in enumerate(counts) if count), default=0)
    lines = [
        f"{label:>13}  {'█' * -(-count * BAR_CHARS // most):<{BAR_CHARS}}  {count:,}"
        for label, count in zip(labels[: last + 1], counts[: last + 1], strict=True)
    ]
    return "\n".join(["```text", *lines, "```"])
