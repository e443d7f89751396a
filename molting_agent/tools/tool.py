"""What a tool is: a plain typed function, the JSON schema made of its signature and docstring, and where it works."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from memory.errors import MoltingError
from memory.home import Home
from molting_agent.clean import clean

if TYPE_CHECKING:
    from pydantic import BaseModel

    from memory.api import Memory

Effect = Literal["look", "act"]


class ToolError(MoltingError):
    """A tool could not do what was asked; the message is its result, for the person and the model alike."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where tools work: ``cwd`` and ``folders`` are real paths, ``memory`` is opened when a tool asks for it."""

    home: Home
    cwd: Path
    folders: tuple[Path, ...]
    open_memory: "Callable[[], Memory]"
    forget: Callable[[str], Any]
    """Forgets a memory by its id everywhere in the home and gives the receipts."""
    timeout_s: float = 20.0
    memory_mib: int = 1024
    is_stopped: Callable[[], bool] = field(default=lambda: False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool returned: text that others wrote, cleaned and cut before anybody sees it."""

    text: str
    ok: bool = True


@dataclass(frozen=True)
class Tool:
    """``effect``: ``look`` reads only and runs at once inside the allowed folders; ``act`` always asks first.

    ``function`` takes the Place and then the arguments that its JSON schema describes, settled: ``settle`` makes of
    what was asked exactly what will be done (the real path, the one memory), so that what a person agrees to cannot
    become something else afterwards. ``action`` puts settled arguments into the words that a person agrees to.
    ``leaves`` says where a looking call goes outside the allowed folders, or "" where it stays.
    """

    name: str
    effect: Effect
    function: Callable[..., str]
    action: Callable[[Place, dict[str, Any]], str]
    settle: Callable[[Place, dict[str, Any]], dict[str, Any]] = field(default=lambda _place, arguments: arguments)
    leaves: Callable[[Place, dict[str, Any]], str] = field(default=lambda _place, _arguments: "")

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @cached_property
    def arguments(self) -> "type[BaseModel]":
        """The arguments as a pydantic model; unknown ones are refused."""
        from pydantic import ConfigDict, create_model

        # The first parameter is the Place.
        parameters = list(inspect.signature(self.function, eval_str=True).parameters.values())[1:]
        fields: dict[str, Any] = {
            parameter.name: (
                parameter.annotation,
                ... if parameter.default is inspect.Parameter.empty else parameter.default,
            )
            for parameter in parameters
        }
        return create_model(self.name, __config__=ConfigDict(extra="forbid"), **fields)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The arguments as a JSON schema."""
        schema = self.arguments.model_json_schema()
        schema.pop("title", None)
        for value in schema.get("properties", {}).values():
            value.pop("title", None)
        schema.setdefault("properties", {})
        return schema

    def check(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as the schema has them, with its defaults, and without what cannot be shown. Errors: ToolError.

        A person agrees to what they see: a command could otherwise hide its other half in a terminal's title.
        """
        from pydantic import ValidationError

        shown = {name: clean(value) if isinstance(value, str) else value for name, value in arguments.items()}
        try:
            return self.arguments.model_validate(shown).model_dump()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ToolError(f"{self.name}: {where}: {first['msg']}") from None

    def run(self, place: Place, arguments: dict[str, Any]) -> Outcome:
        """Do it with settled arguments. A ToolError is an outcome too: the model is told what a person would be."""
        try:
            return Outcome(self.function(place, **arguments))
        except MoltingError as error:
            return Outcome(str(error), ok=False)
        except OSError as error:
            return Outcome(f"{error.filename or self.name}: {error.strerror or error}", ok=False)
