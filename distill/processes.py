"""The processes of one training under ``accelerate launch``: the main one decides, and all share the rows of a step."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from memory.errors import TrainingError

# Between two students the main process exports, and before the first it may have a teacher score for hours.
PATIENCE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's ``rank`` among ``count``; the default is a training alone, where nothing is sent anywhere."""

    rank: int = 0
    count: int = 1

    @property
    def main(self) -> bool:
        """The process that plans, reports, exports, judges and files."""
        return self.rank == 0

    def share(self, value: Any = None) -> Any:
        """The main process's ``value``, in every process; all must call it."""
        if self.count == 1:
            return value
        from torch import distributed

        held = [value]
        distributed.broadcast_object_list(held, src=0)
        return held[0]

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Whether each flag is set in any process; all must call it, and all get one answer."""
        if self.count == 1:
            return flags
        import torch
        from accelerate import PartialState

        raised = torch.tensor(flags, dtype=torch.int32, device=PartialState().device)
        torch.distributed.all_reduce(raised, op=torch.distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in raised.tolist())

    def steps(self, rows: int) -> int:
        """Steps of a training of so many rows: each takes one row a process; the last begins again from the first."""
        return -(-rows // self.count)

    def rows_of(self, step: int, rows: int) -> list[int]:
        """The rows (from 0) that the processes take together in a step (from 0)."""
        return [(step * self.count + rank) % rows for rank in range(self.count)]


def divided() -> bool:
    """Whether the launcher divides the weights that are trained among the processes (FSDP)."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


ALONE = Processes()


def join() -> Processes:
    """This process among those that ``accelerate launch`` or torchrun started; alone where none did.

    Errors: TrainingError where the launcher is set to divide what each process needs whole.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    if os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3":
        raise TrainingError("the loss needs the head whole, which DeepSpeed ZeRO-3 divides; set zero_stage: 2, or FSDP")
    # Read by transformers: else only the main process would have the head's weights.
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
    return Processes(state.process_index, state.num_processes)
