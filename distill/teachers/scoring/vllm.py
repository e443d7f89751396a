"""A vLLM server as a scoring teacher: its own template by ``/tokenize``, its log-probabilities by ``prompt_logprobs``.

It gives the top-k at temperature 1 and no log-partitions, so that it teaches at T = 1 alone.
Source: vLLM, entrypoints/serve/tokenize and entrypoints/openai/completion (protocol.py).
"""

import re
from itertools import accumulate
from typing import Any

from distill.signals.record import Signal, signal
from distill.teachers.openai_api import open_client
from distill.teachers.protocol import Rejected, Unavailable
from distill.teachers.remote import failure_of, key_of
from distill.teachers.scoring.protocol import UNSPELT, Request, ScoringTraits, too_long
from distill.teachers.scoring.vocabulary import cut_alike, engine_cut, spelt
from distill.teachers.settings import OpenAISettings
from memory.errors import TrainingError
from memory.labels import may_leave
from molting_agent.runtime.protocol import Engine
from molting_agent.runtime.template import Message

# The server's tokenizer reads these as control tokens wherever they stand, so that words could forge a turn.
CONTROL = re.compile(
    r"<[|｜][^<>]{1,60}[|｜]>|</?s>|<(?:bos|eos|pad|unk)>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>", re.IGNORECASE
)
# Tokens of a template behind a reply, the one that ends the turn included.
MOST_MARKUP = 8


class VllmTeacher:
    """A model behind vLLM's API. It counts as remote even on this machine. Errors: UsageError, TrainingError."""

    def __init__(self, name: str, settings: OpenAISettings, student: Engine) -> None:
        self._name, self._settings = name, settings
        self._key = key_of(name, settings)
        self._client = open_client(settings, self._key)
        self._root = settings.base_url.rstrip("/").removesuffix("/v1")
        try:
            same = cut_alike(lambda text: self._tokenize(prompt=text)[0], engine_cut(student))
        except (Unavailable, Rejected) as failure:
            self.close()
            place = f"{self._root}/tokenize"
            raise TrainingError(f"teacher {name}: {place} does not answer ({failure}); is it vLLM?") from None
        except BaseException:
            self.close()
            raise
        self._k = settings.score_top_k if same else 0
        self.traits = ScoringTraits(
            name,
            settings.kind,
            settings.model,
            remote=True,
            same_vocabulary=same,
            identity={**settings.model_dump(include={"kind", "model", "base_url"}), "k": self._k, "temperatures": []},
            concurrency=settings.concurrency,
            retries=settings.retries,
        )

    def score(self, request: Request) -> list[Signal]:
        """See ``ScoringTeacher.score``."""
        if not may_leave(request.label):
            raise TrainingError(
                f"teacher {self._name}: a private turn never leaves this machine; ask a local teacher instead"
            )
        messages = request.messages
        if any(CONTROL.search(message.content) for message in messages):
            raise Rejected("its words hold control tokens of chat templates")
        replies = [self._reply(messages[: place + 1]) for place in request.targets]
        whole, _first, _sizes = replies[-1]
        for tokens, _first, _sizes in replies:
            # Templates that cut earlier replies short (those of reasoning models) give another prompt later on.
            if whole[: len(tokens)] != tokens:
                raise Rejected("the server's template changes earlier replies")
        said = self._logprobs(whole)
        return [self._signal(tokens[first:], sizes, said[first : len(tokens)]) for tokens, first, sizes in replies]

    def close(self) -> None:
        self._client.close()

    def _reply(self, messages: tuple[Message, ...]) -> tuple[list[int], int, list[int]]:
        """Of a dialogue up to a reply: the tokens to the end of that turn, where the reply begins, its sizes."""
        before, _strings = self._tokenize(messages=messages[:-1], add_generation_prompt=True)
        tokens, strings = self._tokenize(messages=messages, add_generation_prompt=False)
        first, text = len(before), messages[-1].content
        if tokens[:first] != before:
            raise Rejected("the server's template does not open a reply as it writes one")
        # Behind the words stand one token that ends the turn and at most a few more of markup.
        for stop in range(len(tokens), first - 1, -1):
            if (sizes := spelt(strings[first:stop], text)) is not None:
                end = min(stop + 1, len(tokens))
                return tokens[:end], first, [*sizes, *[0] * (end - stop)]
            if stop < len(tokens) - MOST_MARKUP:
                break
        raise Rejected(UNSPELT)

    def _tokenize(self, **what: Any) -> tuple[list[int], list[str]]:
        """Tokens and their strings, of a prompt or of messages."""
        if "messages" in what:
            what["messages"] = [{"role": m.role, "content": m.content} for m in what["messages"]]
        body = {"model": self._settings.model, "add_special_tokens": False, "return_token_strs": True, **what}
        found = self._post(f"{self._root}/tokenize", body)
        tokens, strings = found.get("tokens"), found.get("token_strs")
        if not isinstance(tokens, list) or not isinstance(strings, list) or len(tokens) != len(strings):
            raise Unavailable("the answer of /tokenize holds no tokens")
        window = found.get("max_model_len")
        if isinstance(window, int) and len(tokens) >= window:
            raise too_long(window)
        return tokens, strings

    def _logprobs(self, tokens: list[int]) -> list[tuple[float, list[tuple[int, float]]]]:
        """Of each token: its log-probability, and the top-k as (id, log-probability), falling."""
        body = {"model": self._settings.model, "prompt": tokens, "max_tokens": 1, "prompt_logprobs": self._k}
        found = self._post("/completions", {**body, "temperature": 1.0})
        try:
            places = found["choices"][0]["prompt_logprobs"]
            return [(0.0, [])] + [
                _place(said, token, self._k) for token, said in zip(tokens[1:], places[1:], strict=True)
            ]
        except (KeyError, IndexError, TypeError, ValueError):
            raise Unavailable("the answer holds no log-probabilities of the prompt") from None

    def _signal(self, labels: list[int], sizes: list[int], said: list[tuple[float, list[tuple[int, float]]]]) -> Signal:
        tops = [top for _label, top in said]
        if any(len(top) < self._k for top in tops):
            raise TrainingError(
                f"teacher {self._name}: the server gives fewer than {self._k} tokens; lower score_top_k"
            )
        ids = [[token for token, _value in top] for top in tops] if self._k else None
        values = [[value for _token, value in top] for top in tops] if self._k else None
        return signal(labels, list(accumulate(sizes)), [label for label, _top in said], ids, values)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            found = self._client.post(path, cast_to=object, body=body)
        except Exception as error:
            raise failure_of(error, self._name, self._settings, self._key) from None
        if not isinstance(found, dict):
            raise Unavailable("no readable answer")
        return found


def _place(said: dict[str, Any], token: int, k: int) -> tuple[float, list[tuple[int, float]]]:
    """One place of ``prompt_logprobs``: token id -> logprob and rank; the label stands beside the top-k where it is not
    in it. Raises KeyError, TypeError, ValueError where it is not of that form."""
    ranked = sorted((int(one["rank"]), int(name), float(one["logprob"])) for name, one in said.items())
    return float(said[str(token)]["logprob"]), [(name, value) for _rank, name, value in ranked[:k]]
