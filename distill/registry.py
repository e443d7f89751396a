"""The molts of a home on disk: list, verify, promote, roll back and pin, each change one atomic rename."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.manifest import ADAPTER_NAME, WHOLE_NAME, read_manifest, verify_files
from memory.errors import MoltError
from memory.files import file_lock, write_atomic


@dataclass(frozen=True, slots=True)
class Molt:
    """One retraining and its result; its files are verified only where a method says so."""

    number: int
    path: Path
    manifest: dict[str, Any]

    @property
    def adapter(self) -> Path:
        """The LoRA adapter the runtime loads."""
        return self.path / ADAPTER_NAME

    @property
    def whole(self) -> Path | None:
        """The GGUF of a student that was trained whole and has no adapter; None for all others."""
        return self.path / WHOLE_NAME if WHOLE_NAME in self.manifest["files"] else None

    @property
    def base_sha256(self) -> str:
        """The published model file this molt belongs to."""
        return str(self.manifest["base_sha256"])

    @property
    def created_at(self) -> str:
        return str(self.manifest["created_at"])

    @property
    def verdict(self) -> str:
        """``promoted``, ``rejected`` or ``kept`` (on disk, not judged good enough to decide)."""
        return str(self.manifest["verdict"])

    @property
    def title(self) -> str:
        """One line for lists: what it was trained from and how it was judged."""
        return str(self.manifest.get("title", ""))

    def verify(self) -> None:
        """Compare every file with its sha256. Errors: MoltError."""
        verify_files(self.path, self.manifest)


class Registry:
    """Who speaks: ``molts/current`` holds, for each base, its champion and the line of older ones, newest first.

    Molt 0 is the base itself. Reading needs no lock, because ``current`` is replaced by one rename.
    """

    def __init__(self, molts_dir: Path) -> None:
        self.molts_dir = molts_dir
        self.current_file = molts_dir / "current"

    def list(self, base_sha256: str = "") -> list[Molt]:
        """Molts with a readable manifest, oldest first; of one base when given."""
        molts = []
        for number, folder in self._folders():
            try:
                molt = Molt(number, folder, read_manifest(folder))
            except MoltError:
                continue
            if not base_sha256 or molt.base_sha256 == base_sha256:
                molts.append(molt)
        return molts

    def damaged(self) -> Sequence[tuple[int, str]]:
        """Number and reason of each molt that would be refused; reads every file."""
        found = []
        for number, folder in self._folders():
            try:
                verify_files(folder, read_manifest(folder))
            except MoltError as error:
                found.append((number, str(error)))
        return found

    def get(self, number: int) -> Molt:
        """One molt by its number. Errors: MoltError when it is missing or its manifest is damaged."""
        folder = self.folder(number)
        if number < 1 or not folder.is_dir():
            raise MoltError(f"there is no molt {number} in {self.molts_dir}; see: molt molts ls")
        return Molt(number, folder, read_manifest(folder))

    def folder(self, number: int) -> Path:
        """Where molt ``number`` is or will be."""
        return self.molts_dir / f"{number:04d}"

    def champion(self, base_sha256: str) -> Molt | None:
        """The molt that speaks for this base, None for the base itself; not verified, see ``load_champion``."""
        number, _line = self._entry(base_sha256)
        return self.get(number) if number else None

    def load_champion(self, base_sha256: str) -> tuple[Molt | None, str]:
        """The verified champion; else the newest older one that is whole, else the base (None).

        The second item says in one line why another speaks than was promoted; "" when all is well.
        """
        try:
            number, line = self._entry(base_sha256)
        except MoltError as error:
            promoted = [molt.number for molt in self.list(base_sha256) if molt.verdict == "promoted"]
            molt, _why = self._first_whole([*reversed(promoted), 0], base_sha256)
            return molt, f"{error} {self._speaker(molt)} speaks meanwhile."
        molt, why = self._first_whole([number, *line, 0], base_sha256)
        if not why:
            return molt, ""
        return molt, f"Molt {number} was refused: {why}. {self._speaker(molt)} speaks instead."

    def promote(self, number: int, base_sha256: str) -> None:
        """Make a molt (0: the base) the champion of its base; running apps see it at their next turn.

        Errors: MoltError when it is missing, damaged, or belongs to another base; the old champion stays.
        """
        if number:
            self._verified(number, base_sha256)
        with file_lock(self.molts_dir / ".lock"):
            champions = self._read_or_set_aside()
            entry = champions.get(base_sha256, {"molt": 0, "line": []})
            if entry["molt"] == number:
                return
            champions[base_sha256] = {**entry, "molt": number, "line": [entry["molt"], *entry["line"]]}
            self._write(champions)

    def rollback(self, base_sha256: str) -> int:
        """Return to the champion before this one and give its number; damaged ones are passed over.

        Errors: MoltError when there is nothing to return to.
        """
        with file_lock(self.molts_dir / ".lock"):
            champions = self._read()
            entry = champions.get(base_sha256, {"molt": 0, "line": []})
            line = list(entry["line"])
            while line:
                number = int(line.pop(0))
                try:
                    if number:
                        self._verified(number, base_sha256)
                except MoltError:
                    continue
                champions[base_sha256] = {**entry, "molt": number, "line": line}
                self._write(champions)
                return number
        raise MoltError(f"there is no molt to return to before molt {entry['molt']}; choose one: molt molts promote N")

    def is_pinned(self, base_sha256: str) -> bool:
        """No retraining replaces the champion by itself; the person's promote and rollback still do."""
        return bool(self._read().get(base_sha256, {}).get("pinned", False))

    def pin(self, base_sha256: str, pinned: bool) -> int:
        """Pin or release the champion of a base; gives its number."""
        with file_lock(self.molts_dir / ".lock"):
            champions = self._read_or_set_aside()
            entry = champions.get(base_sha256, {"molt": 0, "line": []})
            champions[base_sha256] = {**entry, "pinned": pinned}
            self._write(champions)
        return int(entry["molt"])

    def changed_at(self) -> int:
        """Time of the last promotion or rollback (nanoseconds, for comparison only); 0 when there was none."""
        try:
            return self.current_file.stat().st_mtime_ns
        except OSError:
            return 0

    def next_number(self) -> int:
        """The number the next molt gets; numbers of damaged molts are not used again."""
        return max((number for number, _folder in self._folders()), default=0) + 1

    def _folders(self) -> Iterator[tuple[int, Path]]:
        if not self.molts_dir.is_dir():
            return
        for folder in sorted(self.molts_dir.iterdir()):
            if folder.name.isdigit() and len(folder.name) >= 4 and folder.is_dir():
                yield int(folder.name), folder

    def _verified(self, number: int, base_sha256: str) -> Molt:
        molt = self.get(number)
        if molt.base_sha256 != base_sha256:
            raise MoltError(
                f"molt {number} was trained for another base ({molt.base_sha256[:12]}, here {base_sha256[:12]}); "
                "change the model first: molt models use NAME"
            )
        molt.verify()
        return molt

    def _first_whole(self, numbers: Sequence[int], base_sha256: str) -> tuple[Molt | None, str]:
        """The first molt of ``numbers`` that verifies, and why the very first one was refused ("" if it was not)."""
        why = ""
        for number in numbers:
            if not number:
                return None, why
            try:
                return self._verified(number, base_sha256), why
            except MoltError as error:
                why = why or str(error)
        return None, why

    @staticmethod
    def _speaker(molt: Molt | None) -> str:
        return f"Molt {molt.number}" if molt else "The base (molt 0)"

    def _entry(self, base_sha256: str) -> tuple[int, Sequence[int]]:
        entry = self._read().get(base_sha256, {"molt": 0, "line": []})
        return int(entry["molt"]), [int(number) for number in entry["line"]]

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            champions = json.loads(self.current_file.read_text(encoding="utf-8"))
            for entry in champions.values():
                int(entry["molt"])
                [int(number) for number in entry["line"]]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            raise MoltError(f"{self.current_file} is damaged; set it again: molt molts promote N.") from None
        return champions

    def _read_or_set_aside(self) -> dict[str, dict[str, Any]]:
        try:
            return self._read()
        except MoltError:
            self.current_file.replace(self.molts_dir / "current.damaged")
            return {}

    def _write(self, champions: dict[str, dict[str, Any]]) -> None:
        write_atomic(self.current_file, json.dumps(champions, indent=1) + "\n")
