"""Trains the molt that a new home starts with, in a home of its own with the sample person, and packs it."""

import shutil
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from distill.config import DistillConfig
from distill.manifest import ADAPTER_NAME, describe_files, read_manifest, write_manifest
from distill.registry import Registry
from distill.reporter import Reporter, Stopped
from distill.run import Run
from memory.api import Memory
from memory.errors import TrainingError
from memory.files import file_lock
from memory.home import Home

SHIPPED = (ADAPTER_NAME, "report.json", "report.md")
LIMIT_BYTES = 10_000_000
FILES = {"SOUL.md": "SOUL.md", "IDENTITY.md": "IDENTITY.md", "sample/USER.md": "USER.md"}


def ship_first_molt(sources: Sequence[Path], out: Path, home_dir: Path | None, config: DistillConfig) -> str:
    """Train on ``sources`` and write adapter, report and manifest to ``out``; returns one line.

    Run again with the same ``home_dir``, it goes on where it stopped. Errors: TrainingError when the gate turns the
    molt down or it is too large.
    """
    home = first_home(sources, home_dir or Path(tempfile.mkdtemp(prefix="molting-ship-")))
    home.training_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    registry = Registry(home.molts_dir)
    with file_lock(home.training_dir / "lock"):
        run = Run(home, Reporter(home.training_dir))
        if registry.champion(run.base_sha256) is None:
            try:
                run.go(run.resume() if run.folder.exists else run.begin(config, None))
            except Stopped:
                raise TrainingError(f"stopped; go on with the same command and --home {home.root}") from None
    champion = registry.champion(run.base_sha256)
    if champion is None:
        raise TrainingError(f"the gate turned the molt down; read the report in {home.molts_dir}")
    if champion.adapter.stat().st_size > LIMIT_BYTES:
        raise TrainingError(f"{champion.adapter} is larger than {LIMIT_BYTES:,} bytes; lower lora_rank")
    return pack(champion.path, out)


def first_home(sources: Sequence[Path], folder: Path) -> Home:
    """A home in ``folder`` with the sample person's identity files that has read ``sources``."""
    home = Home(folder)
    home.make_folders()
    package = resources.files("identity")
    for name, target in FILES.items():
        (home.identity_dir / target).write_bytes(package.joinpath(name).read_bytes())
    memory = Memory(home)
    memory.ingest(sources)
    memory.close()
    return home


def pack(molt: Path, out: Path) -> str:
    """Copy what ships of a molt's folder, with a manifest that names just these files, as molt 1."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in SHIPPED:
        shutil.copy(molt / name, out / name)
    write_manifest(out, {**read_manifest(molt), "molt": 1, "files": describe_files(out, SHIPPED)})
    return f"{out}: {read_manifest(out)['title']}"
