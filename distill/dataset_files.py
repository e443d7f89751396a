"""A written dataset on disk: two parquet files, their card and figures, replaced as one folder and rid of ids."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from distill.card import card, figures
from memory.errors import UsageError
from memory.exchanges import holds
from memory.files import fsync_folder
from memory.home import Home

Row = dict[str, Any]
EXAMPLES, PAIRS, CARD, FIGURES = "examples.parquet", "pairs.parquet", "dataset.md", "dataset.json"
SCHEMA = 1


def schemas() -> tuple[Any, Any]:
    """The columns of examples.parquet and of pairs.parquet; dataset.md says what each one means."""
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    message = pa.struct([("role", text), ("content", text), ("rationale", text), ("target", pa.bool_())])
    provenance = [("conversation", text), ("source", text), ("format", text), ("started_at", text), ("split", text)]
    examples = pa.schema(
        [
            *provenance,
            ("part", pa.int32()),
            ("own", pa.bool_()),
            ("system", text),
            ("messages", pa.list_(message)),
            ("target_ids", texts),
            ("target_grounds", texts),
            ("source_ids", texts),
            ("tokens", pa.list_(pa.int32())),
            ("is_target", pa.list_(pa.bool_())),
            ("n_system_tokens", pa.int32()),
            ("n_tokens", pa.int32()),
            ("n_target_tokens", pa.int32()),
        ]
    )
    pairs = pa.schema(
        [
            *provenance,
            ("kind", text),
            ("prompt", pa.list_(pa.struct([("role", text), ("content", text)]))),
            ("chosen", text),
            ("rejected", text),
            ("chosen_rationale", text),
            ("rejected_rationale", text),
            ("message", text),
            ("source_ids", texts),
        ]
    )
    return examples, pairs


def write(folder: Path, examples: Sequence[Row], pairs: Sequence[Row], made: dict[str, Any]) -> dict[str, Any]:
    """Write a dataset to ``folder`` and return its figures; an older dataset there is replaced, anything else is not.

    ``made`` is what the rows do not say (settings, what was left out, redactions, hashes). Everything is written to a
    folder beside it and renamed: a crash leaves the old dataset or the new one. Errors: UsageError when ``folder``
    holds something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = folder.absolute()
    if folder.exists() and not is_dataset(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is no dataset and is left as it is; give another --out")
    found = figures(examples, pairs)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _clear_leftovers(folder)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.new-"))
    try:
        for name, rows, schema in zip((EXAMPLES, PAIRS), (examples, pairs), schemas(), strict=True):
            # No statistics: they would put the least and the greatest text of a column into the clear.
            table = pa.Table.from_pylist(list(rows), schema=schema)
            pq.write_table(table, new / name, compression="zstd", write_statistics=False)
        contents = {"schema": SCHEMA, "made": made, "figures": found}
        (new / FIGURES).write_text(json.dumps(contents, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        (new / CARD).write_text(card(examples, pairs, made), encoding="utf-8")
        for path in new.iterdir():
            path.chmod(0o600)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        fsync_folder(new)
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.old-"))
            folder.rename(old / "dataset")
            new.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    fsync_folder(folder.parent)
    return found


def _clear_leftovers(folder: Path) -> None:
    """What a killed writer left: a half-written new dataset goes; an old one comes back if it is all there is."""
    for old in folder.parent.glob(f".{folder.name}.old-*"):
        if not folder.exists() and is_dataset(old / "dataset"):
            (old / "dataset").rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    for new in folder.parent.glob(f".{folder.name}.new-*"):
        shutil.rmtree(new, ignore_errors=True)


def is_dataset(folder: Path) -> bool:
    """Whether ``write`` made this folder."""
    return (folder / FIGURES).is_file() and (folder / EXAMPLES).is_file()


def read(folder: Path) -> tuple[list[Row], list[Row], dict[str, Any]]:
    """The examples, the pairs, and what else is known of how they were made. Errors: UsageError when it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        made = json.loads((folder / FIGURES).read_text(encoding="utf-8"))["made"]
        examples, pairs = (pq.read_table(folder / name).to_pylist() for name in (EXAMPLES, PAIRS))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UsageError(f"{folder} cannot be read ({error}); make it anew: python -m distill dataset") from None
    return examples, pairs, made


def remove(folder: Path, ids: Collection[str], needles: Collection[bytes] = ()) -> int:
    """Rewrite a dataset without every row that comes from one of ``ids``; returns how many rows went.

    An id is that of a conversation, of a message in it (learnt or context) or of a memory that was shown in it. Rows go
    too in which one of ``needles`` (see ``trust.words``) is said, be it by the identity before the conversation. The
    card and the figures are made anew from what is left. Errors: UsageError when the dataset is damaged.
    """
    wanted = set(ids)
    examples, pairs, made = read(folder)
    left = [
        [row for row in rows if wanted.isdisjoint(_ids_of(row)) and not (needles and holds(_said_in(row), needles))]
        for rows in (examples, pairs)
    ]
    gone = len(examples) + len(pairs) - sum(map(len, left))
    if gone:
        write(folder, left[0], left[1], {**made, "rows_removed": made.get("rows_removed", 0) + gone})
    return gone


def _ids_of(row: Row) -> Iterable[str]:
    return (row["conversation"], *row["source_ids"])


def _said_in(row: Row) -> str:
    """All texts of a row, one after the other."""
    said = [part for message in (*(row.get("messages") or ()), *(row.get("prompt") or ())) for part in message.values()]
    return "\n".join(str(part) for part in (*said, *row.values()) if isinstance(part, str))


def forget(home: Home, ids: Collection[str], needles: Collection[bytes] = ()) -> int:
    """Take what was forgotten out of every dataset of a home; returns how many rows went.

    A damaged dataset cannot be told from one that holds it, so it is deleted whole: it can be made anew at any time.
    """
    gone = 0
    # ".NAME.old-x" and ".NAME.new-x" are what a killed writer leaves: they are tidied under their dataset's name.
    names = {re.sub(r"^\.(.+)\.(?:old|new)-\w+$", r"\1", path.name) for path in home.datasets_dir.glob("*")}
    for folder in sorted(home.datasets_dir / name for name in names) if ids else []:
        _clear_leftovers(folder)
        if not is_dataset(folder):
            continue
        try:
            gone += remove(folder, ids, needles)
        except UsageError:
            shutil.rmtree(folder, ignore_errors=True)
    return gone
