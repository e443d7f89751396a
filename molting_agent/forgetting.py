"""One forgetting through the whole house: the memory, the school and the runtime each take their part out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from distill.carriers import Carrier, carriers, mark_forgetful
from distill.forget import forget_all
from memory.api import Memory
from memory.home import Home
from memory.values import Forgotten, Receipt
from molting_agent.runtime import prefix_cache


@dataclass(frozen=True, slots=True)
class Farewell:
    """What was forgotten, and the molts that learnt from it: what is in weights cannot be taken out of them."""

    gone: Forgotten
    molts: tuple[Carrier, ...] = ()

    @property
    def receipts(self) -> list[Receipt]:
        """One a place that it left, then one (``carried``) a molt that carries it on."""
        carried = [Receipt("", "carried", str(molt.path), 0, carrier_line(molt)) for molt in self.molts]
        return [*self.gone.receipts, *carried]


def forget(
    home: Home, memory: Memory, ids: Sequence[str], messages: Mapping[str, Collection[str]] | None = None
) -> Farewell:
    """Remove memories by id, and messages by conversation, wherever this home keeps them.

    Errors: HomeError and MemoryStoreError, which name what could not be rewritten; doing the same again goes on.
    """
    gone = memory.forget_all(ids, messages)
    if not gone.ids:
        return Farewell(gone)
    forget_all(home, gone)
    prefix_cache.forget(home.cache_dir)
    found = tuple(carriers(home, gone.conversations))
    mark_forgetful(home, (molt.number for molt in found))
    return Farewell(gone, found)


def carrier_line(carrier: Carrier) -> str:
    """One line about a molt that still carries what was forgotten."""
    who = f"molt {carrier.number}" + (", who speaks now," if carrier.speaks else "")
    way = "; molt retrain makes one without it" if carrier.speaks else ""
    replies = "1 reply" if carrier.replies == 1 else f"{carrier.replies} replies"
    return f"{who} learnt {replies} of a conversation that held it and carries it on{way}"
