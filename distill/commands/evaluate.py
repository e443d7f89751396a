"""``python -m distill evaluate``: examines one student as it will run, on what its home holds out."""

import json
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.config import DistillConfig, load_config
from memory.errors import MoltingError, UsageError
from memory.home import Home

if TYPE_CHECKING:
    from distill.sides import Side
    from molting_agent.runtime.models import ModelFile


@click.command(epilog="Example: python -m distill evaluate --home ~/claudio --molt 3 --set general_questions=100")
@click.option("--home", "home_dir", type=click.Path(path_type=Path), required=True, help="The agent's home.")
@click.option("--molt", "number", type=click.IntRange(min=1), help="A molt of this home; default: who speaks now.")
@click.option("--adapter", type=click.Path(path_type=Path), help="A GGUF file: an adapter, or a student trained whole.")
@click.option("--base", "base_only", is_flag=True, help="The base without an adapter.")
@click.option("--recipe", default="", help="A name of distill/recipes/, or a TOML file.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting; repeatable.")
@click.option("--model", default="", help="The base, by name or path; else the embedded one.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures and the replies as JSON.")
def evaluate(
    *,
    home_dir: Path,
    number: int | None,
    adapter: Path | None,
    base_only: bool,
    recipe: str,
    settings: tuple[str, ...],
    model: str,
    as_json: bool,
) -> None:
    """Examine one student: held-out text, style, general questions, faults, leaks, sizes and speeds."""
    try:
        if sum((number is not None, adapter is not None, base_only)) > 1:
            raise UsageError("choose one of --molt N, --adapter PATH and --base")
        home = Home(home_dir)
        if not home.identity_dir.is_dir():
            raise UsageError(f"{home.root} is no home; make one first: molt --home {home.root}")
        config = load_config(recipe, settings)
        # Libraries print what they like; only the result goes to stdout.
        with redirect_stdout(sys.stderr):
            found = _examine(home, number, adapter, base_only, config, model)
    except MoltingError as error:
        click.echo(f"distill: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"distill: {error.filename or home_dir}: {error.strerror}; nothing was changed", err=True)
        sys.exit(1)
    click.echo(json.dumps(found["json"], ensure_ascii=False, indent=1) if as_json else found["text"])
    sys.exit(1 if found["json"]["fault"] else 0)


def _examine(
    home: Home, number: int | None, adapter: Path | None, base_only: bool, config: DistillConfig, model_name: str
) -> dict[str, Any]:
    from distill.collect import collect
    from distill.evaluate.exam import exam_of
    from distill.examination import SAMPLE_QUESTIONS, items_of
    from distill.figures import plain, table
    from distill.judgement import figures_of
    from distill.sides import CONTEXT_TOKENS, examine_sides
    from molting_agent.runtime.client import EngineClient
    from molting_agent.runtime.models import resolve_model

    model = resolve_model(home, model_name)
    side = _side(home, number, adapter, base_only, model)
    name = side.name
    started = time.monotonic()
    with EngineClient(model, home=home, context_tokens=CONTEXT_TOKENS) as engine:
        exam = exam_of(collect(home, engine, config), config)
    bar = _Progress(items_of(exam, config) + len(exam.learnt))
    found, _fresh = examine_sides([side], model, exam, config, home, on_item=bar.step)
    scores = found[name]
    bar.end()
    figures = figures_of(scores, config)
    took = f"{model.name}, {name}; {time.monotonic() - started:.0f} s."
    if scores.fault:
        text = f"{took}\nIt does not run: {scores.fault}"
    else:
        text = "\n".join([took, "", *table({name: scores}, {name: figures}), ""])
        said = zip(SAMPLE_QUESTIONS, scores.samples, strict=True)
        text += "".join(f"\n{question}\n  {' '.join(reply.split())}\n" for question, reply in said)
    replies = [
        {"question": asked.question, "reply": reply, "logged": asked.reply}
        for asked, reply in zip(exam.asked, scores.replies, strict=False)
    ]
    values = {"base": model.name, "student": name, **plain(scores, figures), "said": replies}
    return {"text": text, "json": values}


def _side(home: Home, number: int | None, path: Path | None, base_only: bool, model: "ModelFile") -> "Side":
    """Who is meant: a molt, a file, the base, or (none named) the champion. Errors: MoltError, ModelError."""
    from distill.registry import Registry
    from distill.sides import Side
    from molting_agent.runtime.models import check_gguf, describe

    registry = Registry(home.molts_dir)
    if number is not None:
        molt = registry.get(number)
        molt.verify()
        return Side(f"molt {number}", model, molt.adapter)
    if path is not None:
        if check_gguf(path) == "adapter":
            return Side(path.name, model, path)
        return Side(path.name, describe(path, name=path.stem, source=str(path)))
    champion = None if base_only else registry.load_champion(model.source_sha256)[0]
    return Side(f"molt {champion.number}", model, champion.adapter) if champion else Side("the base", model)


class _Progress:
    """A line on a terminal that counts items; nothing where nobody looks."""

    def __init__(self, items: int) -> None:
        self.items, self.done = items, 0
        self.shown = sys.stderr.isatty()

    def step(self) -> None:
        self.done += 1
        if self.shown:
            sys.stderr.write(f"\r{self.done} of {self.items} items")
            sys.stderr.flush()

    def end(self) -> None:
        if self.shown:
            sys.stderr.write("\r\033[K")
