"""Training speed: our rows and head against ``trl.SFTTrainer``, well set and as shipped, on the same conversations.

.venv/bin/python benchmarks/training.py [FOLDER_OF_TRANSCRIPTS] [CONVERSATIONS] [REPEATS] [--no-shipped]

As shipped it computes in bfloat16: on a CPU that emulates it one pass takes forty times ours, so it is taken once.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState
from common import bench_home, print_table, ratios, spread

from distill import trainer as school  # first: it sets how torch's threads wait
from distill.config import DistillConfig
from distill.dataset import Example, prefix_tokens, split, tokenize
from distill.rows import pack, schedule
from distill.student import adapt, faster_dtype, load_base
from memory.transcripts.read import read_transcript
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import embedded_model
from molting_agent.runtime.prompt import read_identity

SAMPLES = Path(__file__).parent.parent / "tests" / "fixtures" / "claudio"


class StepClock(school.TrainerCallback):
    """Seconds spent in steps: loading, the first batch and saving do not count."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_step_begin(self, *_args: Any, **_kwargs: Any) -> None:
        self._started = time.perf_counter()

    def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
        self.seconds += time.perf_counter() - self._started


def ours(
    base: Any, lessons: list[Example], prefix: list[int], config: DistillConfig, folder: str
) -> Callable[[], float]:
    """One pass over the conversations by our trainer; calling it gives its seconds."""
    student = adapt(base, config)
    rows = schedule(
        [len(lesson.tokens) for lesson in lessons],
        [len(prefix), len(prefix)],
        epochs=1,
        row_tokens=config.row_tokens,
        identity_share=1,
        seed=1,
    )

    def run() -> float:
        AcceleratorState._reset_state(reset_partial_state=True)
        watch = school.Watch(1e9, lambda *_values: None, lambda: False)
        made = school.make_trainer(student, rows, lessons, [prefix, prefix], config, Path(folder), watch)
        return timed(made)

    return run


def theirs(
    base: Any, lessons: list[Example], prefix: list[int], config: DistillConfig, folder: str, **settings: Any
) -> Callable[[], float]:
    """One pass over the same conversations, each behind its own copy of the prompt, by SFTTrainer."""
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules="all-linear")
    model = get_peft_model(base, lora)
    data = [pack(prefix, [lesson]) for lesson in lessons]
    dataset = school.Dataset.from_dict(
        {
            "input_ids": [row.input_ids_S for row in data],
            # SFTTrainer shifts labels itself; ours stand where they are predicted.
            "labels": [[school.IGNORED, *row.labels_S[:-1]] for row in data],
        }
    )
    arguments = school.SFTConfig(
        output_dir=folder,
        num_train_epochs=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        logging_strategy="no",
        use_cpu=True,
        **{"max_length": 4096, **settings},
    )

    def run() -> float:
        AcceleratorState._reset_state(reset_partial_state=True)  # another precision than the trainer before
        made = school.SFTTrainer(
            model=model, args=arguments, train_dataset=dataset, processing_class=school._no_tokenizer()
        )
        return timed(made)

    return run


def timed(made: Any) -> float:
    clock = StepClock()
    made.add_callback(clock)
    made.train()
    return clock.seconds


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--no-shipped"]
    shipped = len(words) == len(sys.argv) - 1
    folder = Path(words[0]) if words else SAMPLES
    count = int(words[1]) if len(words) > 1 else 8
    repeats = int(words[2]) if len(words) > 2 else 3
    home, config = bench_home(), DistillConfig(heldout_share=1e-9)
    model = embedded_model(home)
    with EngineClient(model, home=home) as engine:
        talks = split([read_transcript(path) for path in sorted(folder.rglob("*.jsonl"))], config).train[:count]
        lessons = [lesson for talk in talks for lesson in tokenize(talk, engine, config)[0]]
        prompts = {
            "the full identity": prefix_tokens(read_identity(home.identity_dir), engine),
            "a short prompt": prefix_tokens(config.short_system, engine),
        }
    dtype = faster_dtype(model.path)
    bf16 = str(dtype) == "torch.bfloat16"
    well_set = {
        "packing": True,
        "max_length": config.row_tokens,
        "per_device_train_batch_size": 1,
        "gradient_checkpointing": False,
        "bf16": bf16,
    }
    rows = []
    for name, prefix in prompts.items():
        with tempfile.TemporaryDirectory() as scratch:
            shipped_base, set_base = (load_base(model.path, attention="sdpa") for _ in range(2))
            ways = {
                "ours": ours(load_base(model.path, dtype), lessons, prefix, config, scratch),
                "well set": theirs(set_base, lessons, prefix, config, scratch, **well_set),
                "as shipped": theirs(shipped_base, lessons, prefix, config, scratch),
            }
            taken: dict[str, list[float]] = {way: [] for way in ways}
            for repeat in range(repeats):
                for way, run in ways.items():
                    if way != "as shipped" or (shipped and repeat == 0):
                        taken[way].append(run())
        tokens = sum(len(lesson.tokens) for lesson in lessons)
        speeds = [tokens / s for s in taken["ours"]]
        rows += [
            (f"conversation tokens a second under {name} ({len(prefix)} tokens)", spread(speeds, 0), ""),
            (f"against `trl.SFTTrainer` well set, {name}", spread(ratios(taken["well set"], taken["ours"])), "1.2"),
        ]
        if shipped:
            slower = spread(ratios(taken["as shipped"], taken["ours"][:1]))
            rows.append((f"against `trl.SFTTrainer` as shipped, {name}", slower, ""))
    print_table(f"Training, {model.path.name}, {len(lessons)} conversations, {dtype}, {repeats} repeats", rows)


if __name__ == "__main__":
    main()
