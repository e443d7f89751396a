"""A tool's JSON schema narrowed to the person's own words, so that a small model can only copy arguments (pure).

Every value that a call can hold then stands in the request: the choice that is left is where it begins.
"""

import re
from itertools import pairwise
from typing import Any

CHOICES = 60
"""More alternatives than this make a slow grammar; a request has fewer words."""
_QUOTED = re.compile(r"`([^`]+)`|\"([^\"]+)\"|“([^”]+)”|«([^»]+)»|(?<!\w)'([^']+)'(?!\w)|‘([^’]+)’")
_PATH = re.compile(r"~?[\w.\-/]*(?:\.[A-Za-z][A-Za-z0-9]{0,5}\b|/[\w.\-/]*)")
_AROUND = "'\"`“”‘’«»,;:!?()"
_TAIL = re.compile(r"\s+(?:for me|please|por favor|para mim)$", re.IGNORECASE)
_FOLDER_WORDS = frozenset(["folder", "directory", "dir", "pasta", "diretório", "directório"])
_THAT = re.compile(r"\bthat\b|\bque\b|:\s", re.IGNORECASE)
_SAYING = re.compile(
    r"\b(?:that says|saying|with the text|containing|que diz|que diga|com o texto|a dizer)\b:?", re.IGNORECASE
)
_SMALL_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        a an the in on of for to and or my your this that which what file files folder word search find look me all any
        is are mention mentions contain contains has have with please o a os as um uma de do da dos das em no na nos nas
        e ou por para que ficheiro ficheiros arquivo arquivos pasta palavra procura busca encontra aparece está tem com
        meu minha
        """,
    )
)
_CURRENT = re.compile(r"\b(?:this|current|the|here|nesta|esta|desta|aqui|atual)\b", re.IGNORECASE)


def narrowed(schema: dict[str, Any], tool: str, text: str) -> dict[str, Any]:
    """``schema`` with an enum of what stands in ``text`` for each of its texts; a property without any stays open."""
    properties = {}
    for name, value in schema["properties"].items():
        found = choices(tool, name, text)[:CHOICES]
        properties[name] = {"enum": found} if found else value
    return {**schema, "properties": properties, "required": list(properties), "additionalProperties": False}


def choices(tool: str, name: str, text: str) -> list[str]:
    """What the argument ``name`` of ``tool`` could be, from the words of ``text``."""
    text = " ".join(text.split())
    quoted = [next(part for part in match.groups() if part) for match in _QUOTED.finditer(text)]
    paths = [path for match in _PATH.finditer(text) if (path := match[0].rstrip(".")) and path not in ("/", "~")]
    match tool, name:
        case (("list_folder" | "search_files"), "path"):
            found = _folders(text, paths)
        case _, "path":
            found = paths or [word for word in _words(text) if word]
        case "write_file", _:
            found = quoted or _after(_SAYING, text) or [*_endings(text)[1:], *_before(text, paths)]
        case "search_files", _:
            found = quoted or _runs(text, paths)
        case "remember", _:
            found = _after(_THAT, text) or _endings(text)[1:]
        case _:
            found = quoted or _endings(text)[1:]
    return found


def _folders(text: str, paths: list[str]) -> list[str]:
    words = _words(text)
    beside = [
        words[near]
        for index, word in enumerate(words)
        if word.lower() in _FOLDER_WORDS
        for near in (index - 1, index + 1)
        if 0 <= near < len(words) and not re.fullmatch(_CURRENT, words[near])
    ]
    named = [path for path in paths if path in words or f"{path}." in text]
    after_in = words[-1:] if re.search(r"\b(?:in|em|na|no)\s+\S+$", text.rstrip(_AROUND + ".")) else []
    return [*dict.fromkeys([*named, *beside, *after_in]), "."]


def _words(text: str) -> list[str]:
    return [word.strip(_AROUND).rstrip(".") if word != "." else word for word in text.split()]


def _endings(text: str) -> list[str]:
    """Everything from each word to the end."""
    text = _TAIL.sub("", text.rstrip(" .!?;"))
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    return [text[start:].strip(_AROUND) for start in starts]


def _before(text: str, paths: list[str]) -> list[str]:
    """Everything from each word to the words before the path: "write X to PATH"."""
    if not paths:
        return []
    head = re.sub(
        r"\s+(?:(?:to|in|into|em|no|na|para|o|a|the|file|ficheiro|arquivo)\s+)+$", "", text.partition(paths[-1])[0]
    )
    return [ending for ending in _endings(head)[1:] if ending]


def _after(cue: re.Pattern[str], text: str) -> list[str]:
    """What follows the first ``cue``."""
    match = cue.search(text)
    rest = text[match.end() :].strip(_AROUND + " .") if match else ""
    return [rest] if rest else []


def _runs(text: str, paths: list[str]) -> list[str]:
    """Single words and pairs that are no path, the longer words first: what is searched for is rarely a small word."""
    words = [word for word in _words(text) if word and word not in paths]
    telling = [word for word in words if word.lower() not in _SMALL_WORDS]
    pairs = [" ".join(pair) for pair in pairwise(words) if _SMALL_WORDS.isdisjoint(pair)]
    return list(dict.fromkeys([*telling, *pairs]))
