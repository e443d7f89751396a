"""What ``accelerate launch`` runs in the tests: one of two processes that train a tiny random Llama together."""

import sys
from pathlib import Path

import torch
from test_trainer import CONFIG, PREFIXES, examples, tiny_student

from distill.processes import join
from distill.rows import Row
from distill.trainer import Watch, make_trainer, whole_checkpoint

# Two rows a step with unequal counts of labels: one conversation, and three.
PAIRS = [((4 * n,), (4 * n + 1, 4 * n + 2, 4 * n + 3)) for n in range(6)]


def main(folder: Path, stop_after: int) -> None:
    """Train, or stop at a step that the second process alone asks for; each process writes the weights it has."""
    processes = join()
    rows = [Row(0, row, 0) for pair in PAIRS for row in pair]
    losses: list[float] = []

    def stop() -> bool:
        return processes.rank == 1 and 0 < stop_after <= trainer.state.global_step

    watch = Watch(1e9, lambda _step, loss, _s: losses.append(loss), stop, processes)
    checkpoints = folder / "checkpoints"
    trainer = make_trainer(tiny_student(), rows, examples(), PREFIXES, CONFIG, checkpoints, watch)
    found = processes.share(whole_checkpoint(checkpoints) if processes.main else None)
    trainer.train(resume_from_checkpoint=str(found) if found else None)
    weights = {name: p.detach() for name, p in trainer.model.named_parameters() if p.requires_grad}
    torch.save({"weights": weights, "losses": losses, "from": str(found)}, folder / f"rank{processes.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
