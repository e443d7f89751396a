"""Labels: what may be recalled but never learnt from (never-train), and what never leaves the machine either (private).

They come from ``--label``, from ``<private>...</private>`` in a text, and from the rules in config.toml::

    [memory]
    private = ["~/clients/x/**", "#medical"]
    never_train = ["drafts/*.md"]

A rule with a ``/`` or ``*`` is a pattern of paths (``*`` stays within one folder, ``**`` does not; a folder stands for
all in it; what begins with neither ``/`` nor ``~`` may begin at any folder); any other is a word or phrase of the text,
whole and in any case. The strictest label wins.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from memory.errors import HomeError
from memory.home import Home
from memory.ranges import Cut, Range, moved
from memory.transcripts.model import Label, Transcript, Turn

_STRICTNESS: dict[Label, int] = {"normal": 0, "never-train": 1, "private": 2}
_TAG = re.compile(r"<(/?)private[ \t]*>", re.IGNORECASE)


@dataclass(frozen=True)
class LabelRules:
    """The rules of one home as they stand in config.toml; see the module's description."""

    private: tuple[str, ...] = ()
    never_train: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Says whether two sets of rules are the same; "" for none."""
        if not self.private and not self.never_train:
            return ""
        return hashlib.sha256(json.dumps([self.private, self.never_train]).encode()).hexdigest()

    def of_path(self, path: Path) -> Label:
        """The label of a file by its absolute path."""
        found: list[Label] = [label for label, paths, _ in self._compiled if paths and paths.fullmatch(str(path))]
        return strictest(*found)

    def of_text(self, *texts: str) -> Label:
        """The label of a turn or chunk by its words."""
        found: list[Label] = [
            label for label, _, words in self._compiled if words and any(words.search(text) for text in texts)
        ]
        return strictest(*found)

    @cached_property
    def _compiled(self) -> list[tuple[Label, re.Pattern[str] | None, re.Pattern[str] | None]]:
        rules: list[tuple[Label, tuple[str, ...]]] = [("private", self.private), ("never-train", self.never_train)]
        compiled: list[tuple[Label, re.Pattern[str] | None, re.Pattern[str] | None]] = []
        for label, entries in rules:
            paths = [_path_pattern(entry) for entry in entries if is_path_rule(entry)]
            words = [_word_pattern(entry) for entry in entries if not is_path_rule(entry)]
            compiled.append(
                (
                    label,
                    re.compile("|".join(paths), re.DOTALL) if paths else None,
                    re.compile("|".join(words), re.IGNORECASE) if words else None,
                )
            )
        return compiled


def is_path_rule(entry: str) -> bool:
    """Whether a rule is about paths; else it is about words."""
    return "/" in entry or "*" in entry


def _path_pattern(entry: str) -> str:
    if entry == "~" or entry.startswith("~/"):
        entry = str(Path.home()) + entry[1:]
    parts = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    entry = entry.removesuffix("**").rstrip("/") if entry.endswith("/**") else entry.rstrip("/")
    pattern = re.sub(r"\*\*/|\*\*|\*|\?|[^*?]+?(?=[*?]|$)", lambda m: parts.get(m[0]) or re.escape(m[0]), entry)
    return rf"{'' if entry.startswith('/') else '(?:.*/)?'}{pattern}(?:/.*)?"


def _word_pattern(entry: str) -> str:
    words = r"\s+".join(re.escape(word) for word in entry.split())
    return rf"(?<!\w){words}(?!\w)"


def read_rules(home: Home) -> LabelRules:
    """The rules in the home's config.toml; none when there is no such file.

    Errors: HomeError naming the file when it cannot be understood: a rule that is not read would not protect.
    """
    path = home.config_file
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("memory", {})
    except FileNotFoundError:
        return LabelRules()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HomeError(f"{path} cannot be read ({error}); mend it: what it keeps private is not known") from None
    found = {}
    for key in ("private", "never_train"):
        entries = table.get(key, []) if isinstance(table, dict) else []
        if not isinstance(entries, list) or not all(isinstance(entry, str) and entry.strip() for entry in entries):
            raise HomeError(f"{path}: memory.{key}: {entries!r} is not allowed; must be a list of texts")
        found[key] = tuple(entry.strip() for entry in entries)
    return LabelRules(**found)


def strictest(*labels: Label) -> Label:
    """The strictest of ``labels``; normal for none."""
    return max(labels, key=_STRICTNESS.__getitem__, default="normal")


def may_leave(label: Label) -> bool:
    """Whether text of this label may go to another machine: to a remote teacher, or into an export."""
    return label != "private"


def withhold(transcript: Transcript) -> Transcript:
    """The conversation up to its first private turn: what follows may speak of it. Its title goes with the turns."""
    for index, turn in enumerate(transcript.turns):
        if not may_leave(turn.label):
            kept = transcript.turns[:index]
            ids = {turn.id for turn in kept}
            others = tuple(one for one in transcript.alternatives if one.message_id in ids)
            return replace(transcript, turns=kept, alternatives=others, title="")
    return transcript


def labelled(transcript: Transcript, floor: Label, rules: LabelRules) -> Transcript:
    """The conversation with a label on each turn, at least ``floor``, and without the tags.

    A label holds for the replies too: a reply to private words repeats them more often than not. A branch not taken has
    no label of its own, so that one with such words is left out.
    """
    others = tuple(
        one
        for one in transcript.alternatives
        if rules.of_text(one.text, one.rationale) == "normal" and not _TAG.search(f"{one.text} {one.rationale}")
    )
    return replace(transcript, turns=tuple(_labelled(transcript.turns, floor, rules)), alternatives=others)


def _labelled(turns: Iterable[Turn], floor: Label, rules: LabelRules) -> Iterator[Turn]:
    asked: Label = "normal"
    for turn in turns:
        texts = {name: getattr(turn, name) for name in ("text", "rationale", "edited_text")}
        call_texts = [part for call in turn.tool_calls for part in (call.arguments, call.result)]
        own = rules.of_text(*(text for text in texts.values() if text), *call_texts)
        if any(text and _TAG.search(text) for text in (*texts.values(), *call_texts)):
            own = "private"
            cuts = _tag_cuts(turn.text)
            edited = turn.edited_text
            turn = replace(  # noqa: PLW2901 - the same turn, without its tags
                turn,
                text=_TAG.sub("", turn.text),
                rationale=_TAG.sub("", turn.rationale),
                edited_text=None if edited is None else _TAG.sub("", edited),
                pasted=moved(turn.pasted, cuts),
                tool_calls=tuple(
                    replace(call, arguments=_TAG.sub("", call.arguments), result=_TAG.sub("", call.result))
                    for call in turn.tool_calls
                ),
            )
        asked = own if turn.role == "user" else strictest(asked, own)
        yield replace(turn, label=strictest(turn.label, floor, own if turn.role == "user" else asked))


def private_spans(text: str) -> tuple[str, tuple[Range, ...]]:
    """(``text`` without the tags, the ranges in it that were between them).

    A tag that is not closed covers the rest, and a closing one without a beginning what stands before it: a slip of the
    pen must not publish anything.
    """
    spans: list[Range] = []
    depth = start = 0
    last = 0
    for tag in _TAG.finditer(text):
        if not tag[1]:
            start = start if depth else tag.start()
            depth += 1
        elif depth <= 1:
            spans.append((start if depth else last, tag.end()))
            depth, last = 0, tag.end()
        else:
            depth -= 1
    if depth:
        spans.append((start, len(text)))
    return _TAG.sub("", text), moved(spans, _tag_cuts(text)) if spans else ()


def _tag_cuts(text: str) -> Sequence[Cut]:
    return [Cut(match.start(), match.end(), 0) for match in _TAG.finditer(text)]
