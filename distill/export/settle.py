"""Settling: the champion's adapter merged into a file of its own, taken only where the judge finds it as good."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from distill.config import DistillConfig
from distill.dataset import split
from distill.dialogue import Dialogue
from distill.evaluate.bootstrap import Difference, paired_difference
from distill.evaluate.general import load_questions, score_general
from distill.evaluate.heldout import score_heldout
from distill.export.agreement import Agreement
from distill.export.formats import Report, check_gguf_student, merged_gguf
from distill.export.gguf_file import metadata, open_gguf
from distill.export.place import put, working_folder
from distill.export.source import QUANTS, Source
from distill.manifest import describe_files, read_manifest, write_manifest
from distill.registry import Molt, Registry
from distill.running import MERGED_NAME, SETTLED, merged_file
from memory.api import Memory
from memory.errors import MoltError, TrainingError
from memory.files import file_lock, write_atomic
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import describe, stamp
from molting_agent.runtime.prompt import read_identity
from molting_agent.runtime.protocol import Engine

CONVERSATIONS = 16
GENERAL_QUESTIONS = 64
# Rounding may cost this share of the score, if it costs anything for certain: a tenth of what a molt is promoted for.
TOLERANCE = 0.005
CONTEXT_TOKENS = 4096
# General.file_type of a GGUF (llama.h, llama_ftype): the merged file is packed as its base is.
QUANT_OF_TYPE = {1: "f16", 7: "q8_0", 15: "q4_k_m"}


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of it: ``settled``, or why the adapter goes on speaking."""

    molt: int
    settled: bool
    reason: str


def settle(source: Source, report: Report) -> Settled:
    """Merge the champion's adapter, judge the file against base and adapter, and leave it beside the adapter.

    The molt keeps its adapter and its number; running apps move over at their next turn. A file that is not as good is
    not kept, and the manifest says why, so that it is not tried again. Errors: HomeError (disk), EngineError.
    """
    molt = source.molt
    if molt is None or source.adapter is None:
        return Settled(source.number, False, "it speaks without an adapter")
    if SETTLED in molt.manifest and ("refused" in molt.manifest[SETTLED] or merged_file(molt)):
        return Settled(molt.number, merged_file(molt) is not None, molt.manifest[SETTLED].get("refused", "as before"))
    quant = _quant_of_base(source)
    with working_folder(molt.path / MERGED_NAME) as folder:
        made = merged_gguf(source, folder, quant, report)
        try:
            near = check_gguf_student(source, made, quant, report)
            refused, judged = _judge(source, made, report)
        except TrainingError as error:
            refused, judged, near = str(error), {}, None
        registry = Registry(source.home.molts_dir)
        with file_lock(source.home.molts_dir / ".lock"):
            if refused:
                _write(molt, {"refused": refused, "judged": judged})
                return Settled(molt.number, False, refused)
            champion = registry.champion(molt.base_sha256)
            if champion is None or champion.number != molt.number:
                return Settled(molt.number, False, "another molt was promoted meanwhile")
            put(made, molt.path / MERGED_NAME)
            _write(molt, _entry(molt, quant, near, judged))
            _unsettle_others(registry, molt)
            # Running apps look at the time of this file; its content stays.
            write_atomic(registry.current_file, registry.current_file.read_text(encoding="utf-8"))
    return Settled(molt.number, True, _summary(judged))


def unsettle(molt: Molt) -> None:
    """Remove a molt's merged file: the manifest first, so that nobody looks for a file that is gone."""
    manifest = read_manifest(molt.path)
    if SETTLED in manifest and "sha256" in manifest[SETTLED]:
        del manifest[SETTLED]
        write_manifest(molt.path, manifest)
    (molt.path / MERGED_NAME).unlink(missing_ok=True)


def _quant_of_base(source: Source) -> str:
    kind = metadata(open_gguf(source.model.path), "general.file_type")
    if kind not in QUANT_OF_TYPE:
        raise MoltError(
            f"{source.model.name} is packed in a way that a merged molt cannot be (only {', '.join(QUANTS)}); "
            "its molts speak with their adapters; keep it quiet with: settle = false under [model] in config.toml"
        )
    return QUANT_OF_TYPE[kind]


def _judge(source: Source, made: Any, report: Report) -> tuple[str, dict[str, Any]]:
    """Why the merged file is worse ("" if it is not), and the figures."""
    config = DistillConfig()
    dialogues = _conversations(source, config)
    system = read_identity(source.home.identity_dir)
    done, parts = 0, 2 * (len(dialogues) + GENERAL_QUESTIONS)

    def on_item() -> None:
        nonlocal done
        done += 1
        report("judging", 0.8 + 0.2 * done / parts)

    merged = describe(made, name=source.model.name, source=source.model.source)
    with EngineClient(
        source.model, home=source.home, adapter=source.adapter, context_tokens=CONTEXT_TOKENS, shares_cores=True
    ) as engine:
        before = _scores(engine, dialogues, system, config, on_item)
        engine.move(merged, None)
        after = _scores(engine, dialogues, system, config, on_item)
    settings = {"resamplings": config.bootstrap, "seed": config.seed}
    general = paired_difference(before.general, after.general, [1.0] * len(before.general), **settings)
    differences: dict[str, Difference] = {"general": general}
    refused = ""
    if general.high < -TOLERANCE:
        refused = f"general questions {100 * general.before:.1f} -> {100 * general.after:.1f} %"
    if dialogues:
        voice = paired_difference(before.bits, after.bits, before.sizes, **settings)
        differences["voice"] = voice
        if voice.low > TOLERANCE * voice.before:
            refused = f"his replies {voice.before:.3f} -> {voice.after:.3f} bits per byte"
    why = f"the merged file is worse: {refused}" if refused else ""
    return why, {name: difference.to_dict() for name, difference in differences.items()}


@dataclass(frozen=True, slots=True)
class _Scores:
    bits: Sequence[float]
    sizes: Sequence[float]
    general: Sequence[float]


def _scores(
    engine: Engine, dialogues: Sequence[Dialogue], system: str, config: DistillConfig, on_item: Callable[[], None]
) -> _Scores:
    voice = score_heldout(engine, dialogues, system, on_item=on_item)
    general = score_general(engine, load_questions(GENERAL_QUESTIONS), config.short_system, on_item=on_item)
    return _Scores(voice.bits, [float(size) for size in voice.bytes], general.right_probability)


def _conversations(source: Source, config: DistillConfig) -> list[Dialogue]:
    """The home's conversations, held-out ones first; none in a new home.

    Both sides are the same molt: what it learnt from shows a wrong rounding as well as what it did not.
    """
    memory = Memory(source.home)
    try:
        memory.sync()
        sides = split(list(memory.conversations()), config)
        return [*sides.heldout, *sides.train][:CONVERSATIONS]
    finally:
        memory.close()


def _entry(molt: Molt, quant: str, near: Agreement | None, judged: dict[str, Any]) -> dict[str, Any]:
    path = molt.path / MERGED_NAME
    found = describe_files(molt.path, [MERGED_NAME])[MERGED_NAME]
    return {
        **found,
        "stamp": stamp(path),
        "quant": quant,
        "agreement": asdict(near) if near else None,
        "judged": judged,
    }


def _write(molt: Molt, entry: dict[str, Any]) -> None:
    write_manifest(molt.path, {**read_manifest(molt.path), SETTLED: entry})


def _unsettle_others(registry: Registry, champion: Molt) -> None:
    """A merged file is as large as the base: only the one that speaks has one."""
    for other in registry.list(champion.base_sha256):
        if other.number != champion.number:
            unsettle(other)


def _summary(judged: dict[str, Any]) -> str:
    voice = judged.get("voice")
    if not voice:
        return "as good as its adapter on general questions; there is no conversation yet"
    return f"as good as its adapter: his replies {voice['before']:.3f} -> {voice['after']:.3f} bits per byte"
