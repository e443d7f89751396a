"""One llama.cpp model and its context: evaluation, sampling, scoring, adapters; the only importer of llama_cpp."""

import codecs
import ctypes
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp as c
import numpy as np
from numpy.typing import NDArray

from memory.errors import EngineError
from molting_agent.runtime.protocol import Sampling
from molting_agent.runtime.soft_rows import SoftRows, label_logprobs

BATCH_TOKENS = 512
PENALTY_WINDOW_TOKENS = 64
# A single token slower than this also needs the abort callback, or a stop would wait for it.
SLOW_TOKEN_S = 0.05


class Cancelled(Exception):  # noqa: N818 - a signal between our own functions, never shown
    """The evaluation was stopped on request; the KV cache holds what it held before."""


@dataclass(slots=True)
class Evaluated:
    """What one ``fit`` did: tokens it evaluated and whether a saved prefix was restored."""

    tokens: int = 0
    restored: bool = False


class Llama:
    """A GGUF model with one sequence in its context. Not thread-safe, but ``abort`` may be set from any thread."""

    def __init__(self, path: Path, *, context_tokens: int, threads: int, model: Any = None) -> None:
        """``model`` is one that is loaded already, for a second context on it."""
        self.path = path
        if model is None:
            c.llama_backend_init()
            model = c.llama_model_load_from_file(str(path).encode(), c.llama_model_default_params())
        self.model = model
        if not self.model:
            raise EngineError(f"{path}: llama.cpp cannot load this model; its reasons are in logs/engine.log")
        self.vocab = c.llama_model_get_vocab(self.model)
        self.vocab_size = c.llama_vocab_n_tokens(self.vocab)
        self.trained_context_tokens = c.llama_model_n_ctx_train(self.model)
        self.parameters = c.llama_model_n_params(self.model)
        params = c.llama_context_default_params()
        params.n_ctx = min(context_tokens, self.trained_context_tokens)
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        if not c.llama_supports_gpu_offload():
            # On a CPU flash attention makes prefill 1.13 times faster and decoding, which a reused prefix leaves as
            # the longer part, 1.2 times slower (at 1,024 tokens of context).
            params.flash_attn_type = c.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.state_form = f"{params.n_ctx} tokens, flash attention {params.flash_attn_type}"
        params.n_threads = params.n_threads_batch = self.threads = threads
        self.context = c.llama_init_from_model(self.model, params)
        if not self.context:
            raise EngineError(f"{path}: no memory for a context of {params.n_ctx} tokens; lower [model] context_tokens")
        self.context_tokens = c.llama_n_ctx(self.context)
        self.memory = c.llama_get_memory(self.context)
        self.tokens: list[int] = []  # what the KV cache holds
        self.adapters: dict[str, Any] = {}
        self.abort = False
        self._batch = c.llama_batch_init(BATCH_TOKENS, 0, 1)
        self._on_abort = c.ggml_abort_callback(lambda _data: self.abort)
        self._watching = False
        self._token_s = 0.0

    def beside(self, context_tokens: int) -> "Llama":
        """Another context on the same weights, without an adapter."""
        return Llama(self.path, context_tokens=context_tokens, threads=self.threads, model=self.model)

    # -- vocabulary ---------------------------------------------------------------------------------------------------

    def metadata(self, key: str) -> str:
        """A value of the GGUF's metadata as text; empty when absent."""
        size = c.llama_model_meta_val_str(self.model, key.encode(), None, 0)
        if size < 0:
            return ""
        buffer = ctypes.create_string_buffer(size + 1)
        c.llama_model_meta_val_str(self.model, key.encode(), buffer, size + 1)
        return buffer.value.decode("utf-8", "replace")

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of one token; control tokens have none unless ``special``."""
        buffer = ctypes.create_string_buffer(64)
        size = c.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = c.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        return buffer.raw[:size]

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of ``text``; strings such as ``<|im_end|>`` become control tokens only when ``special``."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        ids = (c.llama_token * room)()
        count = c.llama_tokenize(self.vocab, data, len(data), ids, room, False, special)
        if count < 0:
            ids = (c.llama_token * -count)()
            count = c.llama_tokenize(self.vocab, data, len(data), ids, -count, False, special)
        return list(ids[:count])

    @property
    def bos_token(self) -> int | None:
        """The beginning-of-text token where the model wants one."""
        return c.llama_vocab_bos(self.vocab) if c.llama_vocab_get_add_bos(self.vocab) else None

    def end_tokens(self) -> list[str]:
        """The texts of the tokens that end a turn, the model's own end-of-text first."""
        named = [c.llama_vocab_eos(self.vocab), c.llama_vocab_eot(self.vocab)]
        ids = [t for t in named if t >= 0]
        return list(dict.fromkeys(self.piece(t, special=True).decode("utf-8", "replace") for t in ids))

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def fit(self, tokens: Sequence[int]) -> Evaluated:
        """Make the KV cache hold exactly ``tokens``, evaluating only what follows the common prefix.

        The last token is always evaluated, so that its logits are there. Raises Cancelled, and EngineError when the
        tokens do not fit into the window.
        """
        if len(tokens) >= self.context_tokens:
            raise EngineError(f"a prompt of {len(tokens)} tokens does not fit into the window of {self.context_tokens}")
        keep = min(common_prefix(self.tokens, tokens), len(tokens) - 1)
        self.keep(keep)
        self._watch(True)
        for start in range(len(self.tokens), len(tokens), BATCH_TOKENS):
            self._decode(tokens[start : start + BATCH_TOKENS])
        return Evaluated(len(tokens) - keep)

    def keep(self, count: int) -> None:
        """Forget all but the first ``count`` tokens; models that cannot forget a part (recurrent ones) start afresh."""
        if count < len(self.tokens):
            if count and c.llama_memory_seq_rm(self.memory, 0, count, -1):
                self.tokens = self.tokens[:count]
            else:
                c.llama_memory_clear(self.memory, True)
                self.tokens = []

    def _watch(self, on: bool) -> None:
        # The callback costs some 2 ms a pass (one Python call a graph node): too much for each decoded token.
        if on != self._watching:
            callback = self._on_abort if on else c.ggml_abort_callback(0)
            c.llama_set_abort_callback(self.context, callback, None)
            self._watching = on

    def _decode(self, tokens: Sequence[int], outputs: Sequence[bool] | None = None) -> None:
        """Evaluate up to BATCH_TOKENS tokens after those held; logits of the last, or where ``outputs`` says."""
        batch, count, past = self._batch, len(tokens), len(self.tokens)
        batch.n_tokens = count
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = past + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = outputs[i] if outputs is not None else i == count - 1
        status = c.llama_decode(self.context, batch)
        if status == 0:
            self.tokens.extend(tokens)
            return
        c.llama_memory_seq_rm(self.memory, 0, past, -1)
        if self.abort or status == 2:
            raise Cancelled
        raise EngineError(f"llama.cpp could not evaluate {count} tokens after {past} (status {status})")

    def generate(self, max_tokens: int, sampling: Sampling, schema: str = "") -> Generator[str, None, str]:
        """Draw tokens after those held and yield whole UTF-8 text; returns the reason: stop, length or cancelled.

        Bound to JSON of ``schema`` where there is one. Errors: EngineError when no grammar can be made of it.
        """
        sampler = self._sampler(sampling, grammar_of(schema) if schema else "")
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            for _ in range(max_tokens):
                token = c.llama_sampler_sample(sampler, self.context, -1)
                if c.llama_vocab_is_eog(self.vocab, token):
                    return "stop"
                yield decoder.decode(self.piece(token))
                if self.abort:
                    return "cancelled"
                if len(self.tokens) + 1 >= self.context_tokens:
                    return "length"
                started = time.perf_counter()
                self._watch(self._token_s > SLOW_TOKEN_S)
                try:
                    self._decode([token])
                except Cancelled:
                    return "cancelled"
                self._token_s = time.perf_counter() - started
            return "length"
        finally:
            c.llama_sampler_free(sampler)

    def _sampler(self, sampling: Sampling, grammar: str) -> Any:
        chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        if grammar:
            bound = c.llama_sampler_init_grammar(self.vocab, grammar.encode(), b"root")
            if not bound:
                raise EngineError("llama.cpp refused a grammar; its reasons are in logs/engine.log")
            c.llama_sampler_chain_add(chain, bound)
        if sampling.repeat_penalty != 1.0:
            penalties = c.llama_sampler_init_penalties(
                self.vocab_size, PENALTY_WINDOW_TOKENS, sampling.repeat_penalty, 0.0, 0.0
            )
            c.llama_sampler_chain_add(chain, penalties)
        if sampling.temperature <= 0:
            c.llama_sampler_chain_add(chain, c.llama_sampler_init_greedy())
            return chain
        c.llama_sampler_chain_add(chain, c.llama_sampler_init_top_k(sampling.top_k))
        c.llama_sampler_chain_add(chain, c.llama_sampler_init_top_p(sampling.top_p, 1))
        c.llama_sampler_chain_add(chain, c.llama_sampler_init_min_p(sampling.min_p, 1))
        c.llama_sampler_chain_add(chain, c.llama_sampler_init_temp(sampling.temperature))
        seed = c.LLAMA_DEFAULT_SEED if sampling.seed is None else sampling.seed
        c.llama_sampler_chain_add(chain, c.llama_sampler_init_dist(seed))
        return chain

    def score(self, tokens: Sequence[int], is_target: Sequence[bool]) -> list[float]:
        """Log-probability (nats) of each target token given all before it; the first token cannot be a target."""
        return [value for rows in self._scored(tokens, is_target) for value in label_logprobs(*rows)]

    def soft_targets(
        self, tokens: Sequence[int], is_target: Sequence[bool], k: int, temperatures: Sequence[float]
    ) -> SoftRows:
        """What the model says at each target token; see ``protocol.SoftScore``."""
        if not 0 <= k <= self.vocab_size:
            raise EngineError(f"k = {k} is more than the vocabulary of {self.vocab_size} tokens; ask for fewer")
        empty = SoftRows.of(np.empty((0, self.vocab_size), np.float32), [], k, temperatures)
        rows = [SoftRows.of(*rows, k, temperatures) for rows in self._scored(tokens, is_target)]
        return SoftRows(*(np.concatenate(parts) for parts in zip(empty, *rows, strict=True)))

    def _scored(
        self, tokens: Sequence[int], is_target: Sequence[bool]
    ) -> Iterator[tuple[NDArray[np.float32], list[int]]]:
        """(logits_NV, labels_N) of the target tokens, a batch after the other; the logits last until the next."""
        if len(tokens) > self.context_tokens:
            raise EngineError(f"a text of {len(tokens)} tokens does not fit into the window of {self.context_tokens}")
        if True not in is_target:
            return
        first = list(is_target).index(True)
        if first == 0:
            raise EngineError("the first token of a text has nothing before it and cannot be scored")
        self.keep(min(common_prefix(self.tokens, tokens), first - 1))
        self._watch(True)
        for start in range(len(self.tokens), len(tokens) - 1, BATCH_TOKENS):
            stop = min(start + BATCH_TOKENS, len(tokens) - 1)
            wanted = [is_target[i + 1] for i in range(start, stop)]
            # llama.cpp wants at least one output a batch; an unwanted last row is left out below.
            outputs = wanted if any(wanted) else [*wanted[:-1], True]
            self._decode(tokens[start:stop], outputs)
            if any(wanted):
                labels_N = [tokens[i + 1] for i in range(start, stop) if is_target[i + 1]]
                yield self._logits(sum(wanted)), labels_N

    def text_logits(self, tokens: Sequence[int]) -> np.ndarray:
        """Logits (N, V) after each of up to BATCH_TOKENS tokens, which make a text of their own; float32."""
        self.keep(0)
        self._decode(tokens, [True] * len(tokens))
        return self._logits(len(tokens)).copy()

    def _logits(self, rows: int) -> np.ndarray:
        pointer = c.llama_get_logits(self.context)
        return np.ctypeslib.as_array(pointer, shape=(rows, self.vocab_size))

    # -- adapters and saved states ------------------------------------------------------------------------------------

    def set_adapter(self, path: Path | None) -> None:
        """Let this LoRA speak from here on (None: the base alone); an adapter once loaded stays in memory."""
        if path is None:
            c.llama_set_adapters_lora(self.context, None, 0, None)
        else:
            adapter = self.adapters.get(str(path)) or c.llama_adapter_lora_init(self.model, str(path).encode())
            if not adapter:
                raise EngineError(f"{path}: not an adapter of this model; roll back with: molt molts rollback")
            self.adapters[str(path)] = adapter
            pointers = (c.llama_adapter_lora_p_ctypes * 1)(adapter)
            if c.llama_set_adapters_lora(self.context, pointers, 1, (ctypes.c_float * 1)(1.0)) != 0:
                raise EngineError(f"{path}: llama.cpp refused this adapter; roll back with: molt molts rollback")
        self.keep(0)

    def save_state(self, path: Path) -> bool:
        """Write the KV state of the tokens held; False when llama.cpp could not."""
        tokens = (c.llama_token * len(self.tokens))(*self.tokens)
        return c.llama_state_seq_save_file(self.context, str(path).encode(), 0, tokens, len(self.tokens)) > 0

    def load_state(self, path: Path, tokens: Sequence[int]) -> bool:
        """Restore a saved KV state; False (and an empty cache) when the file does not hold exactly ``tokens``."""
        self.keep(0)
        room = len(tokens) + 1
        found, count = (c.llama_token * room)(), ctypes.c_size_t()
        size = c.llama_state_seq_load_file(self.context, str(path).encode(), 0, found, room, ctypes.byref(count))
        if size == 0 or list(found[: count.value]) != list(tokens):
            c.llama_memory_clear(self.memory, True)
            return False
        self.tokens = list(tokens)
        return True


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading items two sequences share."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


def grammar_of(schema: str) -> str:
    """A GBNF grammar of the JSON that fits ``schema``, with no white space but one blank. Errors: EngineError."""
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        return json_schema_to_gbnf(schema)
    except Exception as error:  # its converter raises whatever comes up
        raise EngineError(f"no grammar can be made of a tool's JSON schema ({error})") from None


FILE_TYPES = {"f16": c.LLAMA_FTYPE_MOSTLY_F16, "q8_0": c.LLAMA_FTYPE_MOSTLY_Q8_0, "q4_k_m": c.LLAMA_FTYPE_MOSTLY_Q4_K_M}


def requantise(source: Path, target: Path, kind: str = "q8_0") -> None:
    """Write ``source`` as one of FILE_TYPES (llama_model_quantize with allow_requantize). Errors: EngineError."""
    params = c.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[kind]
    params.allow_requantize = True
    if c.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params)) != 0:
        raise EngineError(f"{source}: could not be prepared as {kind.upper()}; is the disk full?")


def quiet(log: Callable[[str], None]) -> object:
    """Send llama.cpp's warnings and errors to ``log`` and drop the rest; keep the returned object alive."""

    @c.llama_log_callback
    def callback(level: int, text: bytes, _data: object) -> None:
        # ggml levels: 1 debug, 2 info, 3 warning, 4 error, 5 continuation of the line before.
        if level in (3, 4):
            log(text.decode("utf-8", "replace"))

    c.llama_log_set(callback, None)
    return callback
