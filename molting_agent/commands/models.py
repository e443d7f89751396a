"""``molt models``: the base models of a home; each has its own molts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from molting_agent.commands.common import (
    MoltGroup,
    home_option,
    json_option,
    megabytes,
    open_config,
    print_json,
    print_table,
    with_home,
)

if TYPE_CHECKING:
    from memory.home import Home
    from molting_agent.runtime.models import ModelFile


@click.group(cls=MoltGroup, name="models", epilog="Example: molt models ls")
@home_option
def models_group() -> None:
    """List, choose and fetch base models."""


@models_group.command(epilog="Example: molt models ls")
@json_option
@with_home
def ls(home: "Home", as_json: bool) -> None:
    """List the models this home knows; a star marks the one in use."""
    from distill.registry import Registry
    from molting_agent.runtime.models import embedded_model, known_models

    in_use = open_config(home).model.name
    embedded_model(home)
    registry = Registry(home.molts_dir)
    rows = []
    for model in known_models(home):
        champion, _why = registry.load_champion(model.source_sha256)
        rows.append((model, is_in_use(model, in_use), champion.number if champion else 0))
    if as_json:
        print_json(
            [
                {
                    "name": model.name,
                    "in_use": used,
                    "molt": molt,
                    "bytes": model.bytes,
                    "path": str(model.path),
                    "source": model.source,
                    "base_sha256": model.source_sha256,
                }
                for model, used, molt in rows
            ]
        )
        return
    print_table(
        ("*" if used else " ", model.name, megabytes(model.bytes), f"molt {molt}", str(model.path))
        for model, used, molt in rows
    )


@models_group.command(epilog="Example: molt models use ~/models/qwen2.5-0.5b-instruct-q8_0.gguf")
@click.argument("model", metavar="PATH|NAME")
@with_home
def use(home: "Home", model: str) -> None:
    """Let another base model speak from the next start on; it has its own molts."""
    from distill.registry import Registry
    from molting_agent.config import set_value
    from molting_agent.runtime.models import resolve_model

    chosen = resolve_model(home, model)
    set_value(home, "model.name", chosen.name)
    champion, why = Registry(home.molts_dir).load_champion(chosen.source_sha256)
    click.echo(f"{chosen.name} speaks from the next start on, as molt {champion.number if champion else 0}.")
    if why:
        click.echo(why, err=True)


@models_group.command(epilog="Example: molt models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF:q8_0")
@click.argument("name", metavar="OWNER/REPO[:FILE|:QUANT]")
@json_option
@with_home
def pull(home: "Home", name: str, as_json: bool) -> None:
    """Fetch a GGUF from the hub, go on where an interrupted download ended, and check its sha256."""
    from molting_agent.pull import pull as fetch

    model = fetch(home, name, show_progress=sys.stderr.isatty())
    if as_json:
        print_json({"name": model.name, "path": str(model.path), "bytes": model.bytes, "sha256": model.sha256})
    else:
        click.echo(f"{model.name}: {megabytes(model.bytes)}. Let it speak with: molt models use {model.name}")


def is_in_use(model: "ModelFile", name: str) -> bool:
    """The configuration names this model: by name, by path, or (empty) as the embedded one."""
    from molting_agent.runtime.models import EMBEDDED_NAME

    return model.name == (name or EMBEDDED_NAME) or (name != "" and model.path == Path(name).expanduser().absolute())
