"""Slash commands about molts: retrain, list, promote, roll back, and the model below them."""

from typing import TYPE_CHECKING

from molting_agent.ui.commands.registry import command

if TYPE_CHECKING:
    from molting_agent.ui.chat import ChatScreen


@command(
    "retrain",
    "[minutes] [recipe]",
    summary="learn from what was said since, by a recipe's name or file; goes on from a checkpoint if there is one",
)
async def retrain(chat: "ChatScreen", argument: str) -> None:
    """Start the training child; the status line shows it."""
    minutes, recipe = minutes_and_recipe(argument)
    if minutes is None:
        await chat.note("/retrain takes up to 1,440 minutes and a recipe, such as /retrain 20 context.", "warning")
        return
    await chat.molting.training.start(minutes or None, recipe)


def minutes_and_recipe(argument: str) -> tuple[float | None, str]:
    """``20 context``: (20.0, "context"); either may be missing (0.0: no limit). None for what is neither."""
    first, _, rest = argument.partition(" ")
    try:
        minutes = float(first) if first else 0.0
    except ValueError:
        return 0.0, argument.strip()
    fits = not first or 0 < minutes <= 24 * 60
    return (minutes if fits else None), rest.strip()


@command("molts", summary="his line of molts, their verdicts and reports (F3)")
async def molts(chat: "ChatScreen", _argument: str) -> None:
    """Open the Molts screen."""
    chat.molting.action_molts()


@command("promote", "N", summary="let molt N speak; 0 is the base")
async def promote(chat: "ChatScreen", argument: str) -> None:
    """Make a molt the champion and swap to it."""
    if not argument.isdigit():
        await chat.note("/promote takes the number of a molt, such as /promote 2.", "warning")
        return
    chat.promote(int(argument))


@command("rollback", summary="let the molt before this one speak again")
async def rollback(chat: "ChatScreen", _argument: str) -> None:
    """Return to the champion before this one."""
    chat.rollback()


@command("ceremony", "[N]", summary="compare the molt that waits, or molt N, with the one it was judged against")
async def ceremony(chat: "ChatScreen", argument: str) -> None:
    """Old and new side by side; one is kept."""
    number = int(argument) if argument.isdigit() else chat.molting.choice.waiting
    if number:
        chat.molting.choice.open(number)
    else:
        await chat.note("No molt waits to be chosen; /ceremony N compares molt N with the one it was judged against.")


@command("pause", summary="pause a retraining, or let it go on")
async def pause(chat: "ChatScreen", _argument: str) -> None:
    """Hold the training child still."""
    training = chat.molting.training
    if not training.running:
        await chat.note("No retraining is under way.")
        return
    training.toggle_pause()
    chat.show_status()


@command("diary", summary="what each molt changed, as it was measured")
async def diary(chat: "ChatScreen", _argument: str) -> None:
    """Show MOLTS.md."""
    from distill.diary import NAME

    path = chat.molting.home.root / NAME
    try:
        await chat.note(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        await chat.note("No molt was made here yet; /retrain makes one, and its entry stands in MOLTS.md.")


@command("model", summary="which model he runs on, and which others this home knows")
async def model(chat: "ChatScreen", _argument: str) -> None:
    """Name the base models."""

    def look(agent: "object") -> list[str]:
        from molting_agent.runtime.models import known_models

        return [known.name for known in known_models(chat.molting.home)]

    async def show(names: list[str]) -> None:
        agent = chat.molting.agent
        now = agent.status.model_name if agent else ""
        others = [name for name in names if name != now]
        line = f"He runs on {now}."
        line += f" This home also knows {', '.join(others)}." if others else ""
        await chat.note(f"{line} Change it outside the app: molt models use NAME")

    chat.with_agent(look, then=show)
