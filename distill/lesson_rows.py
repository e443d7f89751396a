"""The rows of a written dataset: what a retraining would read now, in words and tokens, each with its source."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distill import plan
from distill.collect import Collected, collect
from distill.config import DistillConfig
from distill.dataset import Example, example_of
from distill.dataset_files import write
from distill.dialogue import Dialogue
from distill.pairs import Pair
from distill.registry import Registry
from distill.rows import Row as TrainingRow
from distill.targets import learnt_keys
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import resolve_model

Row = dict[str, Any]
SYSTEMS = ("identity", "short")
CONTEXT_TOKENS = 4096


def write_dataset(home: Home, out: Path, config: DistillConfig, *, model_name: str = "") -> dict[str, Any]:
    """Collect as a retraining does and write it to ``out``; returns the figures of dataset.json.

    Errors: TrainingError when the identity is missing, UsageError when ``out`` holds something else.
    """
    model = resolve_model(home, model_name)
    with EngineClient(model, home=home, context_tokens=CONTEXT_TOKENS) as engine:
        collected = collect(home, engine, config)
        heldout = [example_of(dialogue, engine, config) for dialogue in collected.heldout]
    learnt = learnt_keys(Registry(home.molts_dir), model.source_sha256)
    systems = _systems(collected, config)
    system_tokens = dict(zip(SYSTEMS, map(len, collected.prefixes), strict=True))
    carried = first_epoch(collected, config, learnt)
    examples = example_rows(collected, heldout, carried, systems, system_tokens)
    pairs = [pair_row(pair, _side(pair.conversation, collected)) for pair in collected.pairs]
    made = {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "molting_version": version("molting"),
        "base_name": model.name,
        "system_tokens": system_tokens,
        "conversations_read": collected.read,
        "left_out": {reason: count for reason, count in collected.left_out.most_common() if count},
        "redactions": dict(collected.redactions.most_common()),
        "config": config.to_dict(),
        "sha256": {
            "the base model": model.source_sha256,
            "the identity": _sha256(collected.system),
        },
    }
    return write(out, examples, pairs, made)


def first_epoch(collected: Collected, config: DistillConfig, learnt: set[plan.Key]) -> dict[int, int]:
    """Which system prompt each training example stands behind in the first epoch of a retraining: {example: prompt}."""
    once = replace(config, epochs=max(1.0, config.epochs))
    _plan, used, rows = plan.fit(
        collected.examples,
        [len(prefix) for prefix in collected.prefixes],
        once,
        tokens_per_s=1.0,
        learnt=learnt,
        heldout=len(collected.heldout),
        judge_s=0.0,
        left_out={},
    )
    places = {id(example): place for place, example in enumerate(collected.examples)}
    first: Sequence[TrainingRow] = [row for row in rows if row.epoch == 0]
    return {places[id(used[index])]: row.prefix for row in first for index in row.examples}


def example_rows(
    collected: Collected,
    heldout: Sequence[Example],
    carried: dict[int, int],
    systems: dict[str, str],
    system_tokens: dict[str, int],
) -> list[Row]:
    """One row an example: the training side divided as it is trained on, the held-out conversations whole."""
    found: list[Row] = []
    parts: dict[str, int] = {}
    sides = [
        *zip(collected.parts, collected.examples, [SYSTEMS[carried[i]] for i in range(len(carried))], strict=True),
        *zip(collected.heldout, heldout, ["identity"] * len(heldout), strict=True),
    ]
    for dialogue, example, system in sides:
        part = parts[dialogue.conversation] = parts.get(dialogue.conversation, -1) + 1
        found.append(
            {
                **_provenance(dialogue, _side(dialogue.conversation, collected)),
                "part": part,
                "own": dialogue.own,
                "system": system,
                "messages": _messages(dialogue, systems[system]),
                "target_ids": [target.message for target in dialogue.targets],
                "target_grounds": [target.why for target in dialogue.targets],
                "source_ids": [name for names in dialogue.ids for name in names],
                "tokens": list(example.tokens),
                "is_target": list(example.is_target),
                "n_system_tokens": system_tokens[system],
                "n_tokens": len(example.tokens),
                "n_target_tokens": example.target_tokens,
            }
        )
    return found


def pair_row(pair: Pair, side: str) -> Row:
    """A preference pair under the short system prompt, with the ids of its prompt and of both replies."""
    named = [name for names in pair.ids for name in names]
    return {
        **_provenance(pair, side),
        "kind": pair.kind,
        "prompt": [{"role": message.role, "content": message.content} for message in pair.prompt],
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "chosen_rationale": pair.chosen_rationale,
        "rejected_rationale": pair.rejected_rationale,
        "message": pair.message,
        "source_ids": [*named, pair.message, *([pair.rejected_id] if pair.rejected_id else [])],
    }


def _provenance(found: Dialogue | Pair, side: str) -> Row:
    return {
        "conversation": found.conversation,
        "source": found.source,
        "format": found.format,
        "started_at": found.started_at,
        "split": side,
    }


def _side(conversation: str, collected: Collected) -> str:
    if conversation in collected.newest:
        return "heldout_newest"
    heldout = {dialogue.conversation for dialogue in collected.heldout}
    return "heldout" if conversation in heldout else "train"


def _messages(dialogue: Dialogue, system: str) -> list[Row]:
    targets = iter(dialogue.targets)
    rows: list[Row] = [{"role": "system", "content": system, "rationale": "", "target": False}]
    for message in dialogue.messages:
        rationale = next(targets).rationale if message.target else ""
        rows.append({**asdict(message), "rationale": rationale})
    return rows


def _systems(collected: Collected, config: DistillConfig) -> dict[str, str]:
    """Both system prompts as they may stand in a file: the person's own data in USER.md is scrubbed like a talk."""
    from memory.scrub import Scrubber

    texts = (collected.system, config.short_system)
    return {name: Scrubber().scrub(text).text for name, text in zip(SYSTEMS, texts, strict=True)}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
