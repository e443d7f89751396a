"""What a GGUF model computes for a few fixed prompts: tokens, logits and greedy replies, in a process of its own."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory.errors import EngineError
from molting_agent.runtime.client import worker_environment

if TYPE_CHECKING:
    import numpy as np

# Words, digits, accents, code and blanks: where tokenizers and roundings differ.
PROMPTS = (
    ("You are Cláudio.", "Who are you, and what do you remember of me?"),
    ("You are Cláudio.", "Baleia cabe no disco? Restam 12,5 % de 2048 GB, e amanhã são 07:45 no Porto."),
    ("", "Write a function in Python that adds 1234 and 98765.\n\ndef add(a, b):\n    return"),
    ("Answer in one word.", "The capital of France?"),
)
# Cut alone, without a template; the runtime's tokens are what any other tokenizer must give.
TEXTS = (
    "Hello, world!",
    " leading and  double   spaces",
    "Não é já amanhã às 7h45? 1234567890 3.14159 0x1F",
    "don't we'll I'm they'VE it's",
    "tabs\tand\nnew\n\nlines\r\n  indented",
    "emoji 🦀🦞 漢字 кириллица ñandú",
    "<|im_end|> </s> are only words here",
    "https://example.org/a_b?c=d&e=%20 (x[0] += y) #!/bin/sh",
)
REPLY_TOKENS = 24
CONTEXT_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Probe:
    """``ids`` and ``logits_NV`` have one item a prompt, ``texts`` the token ids of TEXTS as plain content."""

    ids: list[list[int]]
    logits_NV: list["np.ndarray"]
    replies: list[str]
    texts: list[list[int]]

    @property
    def whole(self) -> "np.ndarray":
        """Of all prompts, one after the other."""
        import numpy as np

        return np.concatenate(self.logits_NV)


def probe(model: Path, adapter: Path | None, log: Path) -> Probe:
    """Run the model (with its adapter) over PROMPTS and TEXTS. Errors: EngineError when llama.cpp refuses it."""
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="molting-probe-") as folder:
        out = Path(folder) / "probe.npz"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "distill.export.probe", str(model), str(adapter or ""), str(out)]
        with log.open("ab") as output:
            done = subprocess.run(
                command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=worker_environment(shares_cores=True),  # it runs in the background, beside a chat
                check=False,
            )
        if done.returncode != 0 or not out.exists():
            raise EngineError(f"{model}: llama.cpp does not run this model; its reasons are in {log}")
        with np.load(out) as arrays:
            said = json.loads(str(arrays["said"]))
            logits_NV = [arrays[f"logits_{i}"] for i in range(len(said["ids"]))]
    return Probe(said["ids"], logits_NV, said["replies"], said["texts"])


def main(arguments: list[str]) -> int:
    """``python -m distill.export.probe MODEL ADAPTER OUT.npz``; an empty ADAPTER is none."""
    import numpy as np

    from molting_agent.runtime.llama import Llama, quiet
    from molting_agent.runtime.protocol import Sampling

    keep = quiet(lambda text: print(text, end="", file=sys.stderr, flush=True))
    model, adapter, out = arguments
    try:
        llama = Llama(Path(model), context_tokens=CONTEXT_TOKENS, threads=2)
        llama.set_adapter(Path(adapter) if adapter else None)
    except EngineError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    said: dict[str, Any] = {"ids": [], "replies": [], "texts": []}
    arrays: dict[str, Any] = {}
    for index, (system, question) in enumerate(PROMPTS):
        ids = _prompt_ids(llama, system, question)
        arrays[f"logits_{index}"] = llama.text_logits(ids)
        said["ids"].append(ids)
        llama.fit(ids)
        reply = llama.generate(REPLY_TOKENS, Sampling(temperature=0.0, repeat_penalty=1.0))
        said["replies"].append("".join(reply))
    said["texts"] = [llama.tokenize(text, special=False) for text in TEXTS]
    np.savez(out, said=json.dumps(said), **arrays)
    del keep
    return 0


def _prompt_ids(llama: Any, system: str, question: str) -> list[int]:
    """The prompt in the model's own template, cut as the worker cuts it: each segment by itself."""
    from molting_agent.runtime.template import Message, render

    bos = llama.bos_token
    bos_text = "" if bos is None else llama.piece(bos, special=True).decode()
    messages = [Message("system", system)] if system else []
    segments = render(
        llama.metadata("tokenizer.chat_template"),
        [*messages, Message("user", question)],
        end_tokens=llama.end_tokens(),
        bos_token=bos_text,
    )
    ids = [token for segment in segments for token in llama.tokenize(segment.text, special=segment.special)]
    return ids if bos is None or ids[:1] == [bos] else [bos, *ids]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
