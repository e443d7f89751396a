"""The table of recipes: each trained on the same replies with the same seeds and judged in the runtime, beside ``sft``.

.venv/bin/python benchmarks/recipes.py --home HOME --out FILE [--epochs 1] [--seeds 17,18,19] [--base NAME] ARM ...

An arm is a recipe with settings: ``sft``, ``context``, ``cross:teacher=qwen``, ``sft:learning_rate=5e-4``. HOME is a
home that has ingested the conversations. What is measured is kept in --out at once: run it again and only what is
missing is trained. Without arms it prints the table of what is there.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from common import spread

from distill.config import DistillConfig, load_config
from distill.judgement import figures_of
from distill.reporter import Reporter
from distill.run import Run
from distill.running import as_model
from distill.school import train_student
from distill.sides import Side, examine_sides
from distill.state import StudentFolder
from memory.home import Home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", nargs="*")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("recipes.jsonl"))
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--seeds", default="17")
    parser.add_argument("--base", default="")
    given = parser.parse_args()
    done = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    for seed in map(int, given.seeds.split(",")):
        for arm in given.arms:
            key = {"arm": arm, "seed": seed, "epochs": given.epochs, "base": given.base}
            if any(all(row[name] == value for name, value in key.items()) for row in done):
                continue
            row = {**key, **measure(Home(given.home), arm, seed, given.epochs, given.base)}
            done.append(row)
            with given.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print(table(done))


def settings_of(arm: str, seed: int, epochs: float) -> DistillConfig:
    """The recipe of an arm, without a twin: plain ``sft`` of the same seed is every arm's twin."""
    recipe, _, more = arm.partition(":")
    own = [setting for setting in more.split(",") if setting]
    return load_config(recipe, [f"seed={seed}", f"epochs={epochs}", "twin=false", *own])


def measure(home: Home, arm: str, seed: int, epochs: float, base: str) -> dict[str, Any]:
    """Train one arm in a folder of its own and score it as it runs."""
    config = settings_of(arm, seed, epochs)
    reporter = Reporter(None)
    run = Run(home, reporter, model_name=base)
    started = time.monotonic()
    state = run.prepare(config, None)
    prepared_s = time.monotonic() - started
    folder = StudentFolder(home.root / "bench" / f"{arm.replace('/', '_')}-{seed}-{epochs:g}")
    started = time.monotonic()
    trained = train_student(state, folder, run.model, home, reporter, name="candidate", later_s=0.0)
    train_s = time.monotonic() - started
    side = Side(arm, run.model, folder.gguf)
    if config.student == "whole":
        side = Side(arm, as_model(folder.gguf, run.model))
    scores, _fresh = examine_sides([side], run.model, state.exam, config, home, on_item=reporter.check)
    figures = figures_of(scores[arm], config)
    shutil.rmtree(folder.checkpoints, ignore_errors=True)
    return {
        "identity": figures["heldout"].value,
        "short": figures["heldout_short"].value,
        "general": figures["general"].value,
        "passes": figures["passes"].value,
        "auc": figures["auc"].value,
        "chrf": figures["chrf"].value,
        "steps": len(state.rows),
        "row_tokens": state.plan["row_tokens"],
        "target_tokens": state.plan["target_tokens"],
        "prepared_s": round(prepared_s, 1),
        "train_s": round(train_s, 1),
        "tokens_per_s": round(trained["train_tokens_per_s"], 1),
        "heldout": len(state.heldout),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: the median over seeds with its range, one line an arm."""
    lines = [
        "| base | recipe | seeds | steps | bits per byte, identity | short prompt | general | style: passes, AUC | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    names = dict.fromkeys((row["base"], row["arm"], row["epochs"]) for row in rows)
    for base, arm, epochs in names:
        same = [row for row in rows if (row["base"], row["arm"], row["epochs"]) == (base, arm, epochs)]
        lines.append(
            f"| {base or 'embedded'} | {arm} | {len(same)} | {same[0]['steps']} | "
            f"{spread([row['identity'] for row in same], 3)} | {spread([row['short'] for row in same], 3)} | "
            f"{spread([100 * row['general'] for row in same], 1)} % | "
            f"{spread([100 * row['passes'] for row in same], 0)} %, {spread([row['auc'] for row in same], 2)} | "
            f"{spread([row['train_s'] for row in same], 0)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
    sys.exit(0)
