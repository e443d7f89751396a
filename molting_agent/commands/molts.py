"""``molt molts``: the lineage of his weights, and who of it speaks."""

from typing import TYPE_CHECKING, Any

import click

from memory.errors import MoltError, UsageError
from molting_agent.commands.common import (
    MoltGroup,
    home_option,
    json_option,
    open_config,
    print_json,
    print_table,
    say,
    with_home,
)

if TYPE_CHECKING:
    from distill.registry import Molt, Registry
    from memory.home import Home


def _open(home: "Home") -> tuple["Registry", str]:
    """The registry and the base model in use. Errors: ModelError."""
    from distill.registry import Registry
    from molting_agent.runtime.models import resolve_model

    return Registry(home.molts_dir), resolve_model(home, open_config(home).model.name).source_sha256


@click.group(cls=MoltGroup, name="molts", epilog="Example: molt molts ls")
@home_option
def molts_group() -> None:
    """List, show, promote, roll back and pin molts."""


@molts_group.command(epilog="Example: molt molts ls --all")
@click.option("--all", "every_base", is_flag=True, help="Also the molts of other base models.")
@json_option
@with_home
def ls(home: "Home", every_base: bool, as_json: bool) -> None:
    """List the molts of the base model in use; a star marks the one that speaks."""
    registry, base = _open(home)
    champion, why = registry.load_champion(base)
    speaking = champion.number if champion else 0
    molts = registry.list("" if every_base else base)
    if as_json:
        print_json([_as_dict(molt, speaking) for molt in molts])
        return
    rows = [("*" if speaking == 0 else " ", "0", "", "", "the base model")]
    rows += [
        ("*" if molt.number == speaking else " ", str(molt.number), molt.created_at[:16], molt.verdict, molt.title)
        for molt in molts
    ]
    print_table(rows)
    if why:
        say(why, err=True)


@molts_group.command(epilog="Example: molt molts show 1")
@click.argument("number", type=click.IntRange(1))
@json_option
@with_home
def show(home: "Home", number: int, as_json: bool) -> None:
    """Show what molt NUMBER was trained on and how it was judged."""
    from distill.registry import Registry

    molt = Registry(home.molts_dir).get(number)
    report = molt.path / "report.md"
    if as_json:
        print_json({**molt.manifest, "report": _report(molt)})
    elif report.exists():
        say(report.read_text(encoding="utf-8", errors="replace").rstrip("\n"))
    else:
        print_table(
            [(name, str(value)) for name, value in molt.manifest.items() if isinstance(value, str | int | float)]
        )


@molts_group.command(epilog="Example: molt molts diff 1 2")
@click.argument("old", type=click.IntRange(1))
@click.argument("new", type=click.IntRange(1))
@json_option
@with_home
def diff(home: "Home", old: int, new: int, as_json: bool) -> None:
    """Show what differs between molts OLD and NEW: settings, what each learnt from, how each was measured."""
    from dataclasses import asdict

    from distill.registry import Registry
    from molting_agent.molt_diff import OTHER_HELD_OUT, diff_rows, molt_diff

    registry = Registry(home.molts_dir)
    before, after = registry.get(old), registry.get(new)
    if before.base_sha256 != after.base_sha256:
        raise UsageError(f"molts {old} and {new} are of different base models; compare two of one line: molt molts ls")
    found = molt_diff(before.manifest, after.manifest, _report(before), _report(after))
    if as_json:
        print_json({"old": old, "new": new, **asdict(found)})
    else:
        print_table([("", f"molt {old}", f"molt {new}"), *diff_rows(found)])
        if not found.same_heldout:
            say(OTHER_HELD_OUT)


@molts_group.command(epilog="Example: molt molts promote 2")
@click.argument("number", type=click.IntRange(0))
@with_home
def promote(home: "Home", number: int) -> None:
    """Let molt NUMBER speak (0: the base model); running apps follow at their next turn."""
    registry, base = _open(home)
    registry.promote(number, base)
    click.echo(f"Molt {number} speaks now.")


@molts_group.command(epilog="Example: molt molts rollback")
@with_home
def rollback(home: "Home") -> None:
    """Return to the molt that spoke before this one."""
    registry, base = _open(home)
    click.echo(f"Molt {registry.rollback(base)} speaks now.")


@molts_group.command(epilog="Example: molt molts pin")
@click.option("--off", is_flag=True, help="Release it again.")
@with_home
def pin(home: "Home", *, off: bool) -> None:
    """Keep the molt that speaks: a retraining that passes the gate is filed and waits for your promote."""
    registry, base = _open(home)
    number = registry.pin(base, not off)
    click.echo(f"Molt {number} is {'released' if off else 'pinned'}.")


def _report(molt: "Molt") -> dict[str, Any]:
    """``report.json``, {} where there is none. Errors: MoltError when it is damaged."""
    import json

    path = molt.path / "report.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise MoltError(f"{path} is damaged ({error}); see the others: molt molts ls") from None


def _as_dict(molt: "Molt", speaking: int) -> dict[str, Any]:
    return {
        "molt": molt.number,
        "speaks": molt.number == speaking,
        "created_at": molt.created_at,
        "verdict": molt.verdict,
        "title": molt.title,
        "base_sha256": molt.base_sha256,
        "path": str(molt.path),
    }
