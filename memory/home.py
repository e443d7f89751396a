"""The folder of one agent: where each of his files lives."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one agent's home; creating the object touches nothing on disk."""

    root: Path

    @property
    def config_file(self) -> Path:
        return self.root / "config.toml"

    @property
    def identity_dir(self) -> Path:
        """SOUL.md, IDENTITY.md and USER.md."""
        return self.root / "identity"

    @property
    def memory_file(self) -> Path:
        return self.root / "MEMORY.md"

    @property
    def notes_dir(self) -> Path:
        """Daily notes, ``YYYY-MM-DD.md``."""
        return self.root / "memory"

    @property
    def sessions_dir(self) -> Path:
        """Own transcripts, append-only ``*.jsonl`` in the pi/OpenClaw v3 form."""
        return self.root / "sessions"

    @property
    def models_dir(self) -> Path:
        return self.root / "models"

    @property
    def molts_dir(self) -> Path:
        return self.root / "molts"

    @property
    def training_dir(self) -> Path:
        """The retraining that is under way or was interrupted: dataset, checkpoints, ``progress.json``."""
        return self.root / "molts" / ".training"

    @property
    def datasets_dir(self) -> Path:
        """Written datasets, one folder each; what is forgotten leaves them too."""
        return self.root / "datasets"

    @property
    def db_file(self) -> Path:
        return self.root / "memory.db"

    @property
    def chroma_dir(self) -> Path:
        """The derived vector index; may be deleted at any time."""
        return self.root / "chroma"

    @property
    def cache_dir(self) -> Path:
        return self.root / "cache"

    @property
    def logs_dir(self) -> Path:
        return self.root / "logs"

    def make_folders(self) -> None:
        """Create the home and its folders, readable by the owner only."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (
            self.identity_dir,
            self.notes_dir,
            self.sessions_dir,
            self.models_dir,
            self.molts_dir,
            self.cache_dir,
            self.logs_dir,
        ):
            folder.mkdir(exist_ok=True, mode=0o700)
