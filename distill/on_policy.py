"""Learning from the student's own replies: it writes, and a teacher of the same vocabulary says how it would go on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from trl import DistillationConfig, DistillationTrainer

from distill.arguments import training_arguments
from distill.attention import NAME
from distill.config import DistillConfig
from distill.dataset import Example
from distill.rows import Row
from distill.student import Student
from distill.trainer import Watch, whole_checkpoint
from memory.errors import TrainingError

PAD, END = "<pad>", "<end>"


class RuntimeTokens(PreTrainedTokenizerFast):
    """What the trainer takes for a tokenizer: prompts come as the runtime's own tokens and stay as they are."""

    def __call__(self, text: Any = None, **_unused: Any) -> Any:
        """``text`` is a list of token ids for each prompt."""
        return {"input_ids": text}


def prompts_of(
    rows: Sequence[Row], examples: Sequence[Example], prefixes: Sequence[Sequence[int]]
) -> tuple[list[list[int]], int]:
    """All that stands before each reply, once for each system prompt it was trained with, and the token that ends one.

    In the order of the rows. Errors: TrainingError when there is no reply.
    """
    prompts: dict[tuple[int, int, int], list[int]] = {}
    ends: Counter[int] = Counter()
    for row in rows:
        for index in row.examples:
            example = examples[index]
            for start, stop in replies_in(example.is_target):
                key = (row.prefix, index, start)
                prompts.setdefault(key, [*prefixes[row.prefix], *example.tokens[:start]])
                ends[example.tokens[stop - 1]] += 1
    if not ends:
        raise TrainingError("there is no reply to write anew: learning from own replies needs conversations")
    return list(prompts.values()), ends.most_common(1)[0][0]


def replies_in(is_target: Sequence[bool]) -> list[tuple[int, int]]:
    """Start and stop of each run of targets."""
    edges = [i for i, (a, b) in enumerate(zip([False, *is_target], [*is_target, False], strict=True)) if a != b]
    return list(zip(edges[::2], edges[1::2], strict=True))


@contextmanager
def speaking(student: Student) -> Iterator[None]:
    """Within it the student has its head again and attends as models do that write token by token."""
    base = student.base
    words, width = student.head_VH.shape
    head, before = torch.nn.Linear(width, words, bias=False, device="meta"), base.lm_head
    head.weight = torch.nn.Parameter(student.head_VH, requires_grad=student.head_VH.requires_grad)
    base.lm_head = head
    base.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        base.lm_head = before
        base.set_attn_implementation(NAME)
        base.config.use_cache = False


def learn_on_policy(
    student: Student,
    teacher: Any,
    rows: Sequence[Row],
    examples: Sequence[Example],
    prefixes: Sequence[Sequence[int]],
    config: DistillConfig,
    folder: Path,
    watch: Watch,
) -> dict[str, Any]:
    """Teach a student that has learnt the rows by what ``teacher`` says of its own replies; what was measured.

    Each step the student answers ``on_policy_batch`` of the rows' questions, and the generalised Jensen-Shannon
    divergence from the teacher at each of its tokens is made smaller: Agarwal et al. 2024 (arXiv 2306.13649), section
    3, by ``trl.DistillationTrainer``. ``teacher`` is a causal language model with a head. Checkpoints go to
    ``folder``, from which an interrupted training goes on; {} when ``watch`` stopped it. Errors: TrainingError where
    the vocabularies differ.
    """
    if teacher.config.vocab_size != len(student.head_VH):
        raise TrainingError(
            f"the teacher {config.on_policy_teacher} has {teacher.config.vocab_size:,} tokens and the student "
            f"{len(student.head_VH):,}: own replies can be judged on one vocabulary only; set another on_policy_teacher"
        )
    prompts, end = prompts_of(rows, examples, prefixes)
    checkpoint = whole_checkpoint(folder)
    arguments = DistillationConfig(
        **training_arguments(
            config, folder, steps=config.on_policy_steps, learning_rate=config.on_policy_learning_rate
        ),
        per_device_train_batch_size=config.on_policy_batch,
        max_completion_length=config.on_policy_tokens,
        beta=config.on_policy_beta,
    )
    with speaking(student):
        student.base.generation_config.eos_token_id = end
        trainer = DistillationTrainer(
            model=student.model,
            teacher_model=teacher,
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": prompts}),
            processing_class=_tokens(end),
            callbacks=[watch],
        )
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if watch.cancelled:
        return {}
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    return {
        "steps": config.on_policy_steps,
        "losses": [entry["loss"] for entry in steps],
        "reply_tokens": [entry["completions/mean_length"] for entry in steps],
    }


def _tokens(end: int) -> RuntimeTokens:
    pad = 0 if end else 1  # any token but the end: what is padded is masked
    words = Tokenizer(WordLevel({PAD: pad, END: end}, unk_token=PAD))
    return RuntimeTokens(tokenizer_object=words, pad_token=PAD, eos_token=END, padding_side="left")
