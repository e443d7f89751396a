"""A fact planted in every place of a home is forgotten, and no byte of it is left: not as text, tokens or a vector."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from distill.carriers import carriers
from distill.config import load_config
from distill.lesson_rows import write_dataset
from distill.manifest import describe_files, write_manifest
from distill.registry import Registry
from distill.signals.record import signal
from distill.signals.store import SignalStore, signals_dir
from distill.state import STATE_NAME, RunFolder
from distill.teachers.replies import Replies, Reply
from memory import embedder
from memory.api import Memory
from memory.home import Home
from memory.transcripts.writer import FORGOTTEN, SessionWriter
from molting_agent.forgetting import forget
from molting_agent.identity import create_home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.protocol import Segment

FACT = "The hidden well is under the cork oak Sobreirovelho"
REPLY = "Understood: the well, the cork oak, Sobreirovelho it is."
RARE = (b"obreirovelho", b"cork oak", b"hidden well")
OTHER = "The router is in the hall closet"


@pytest.fixture
def full_home(make_home: object, prepared_models: Path) -> Home:
    embedder.prepare(prepared_models)
    home: Home = make_home("everything")  # type: ignore[operator]
    create_home(home)
    return home


def own_conversation(home: Home, asked: str, answer: str, memory_ids: list[str]) -> tuple[SessionWriter, str, str]:
    writer = SessionWriter.create(home.sessions_dir)
    question = writer.user(asked)
    reply = writer.assistant(
        answer, molt=1, base_sha256="ab" * 32, model="m", memories=memory_ids, thinking=f"{answer}!"
    )
    writer.rate(reply, 1)
    return writer, question, reply


def decoded(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what is in it where they are compressed."""
    yield path.read_bytes()
    if path.suffix == ".parquet":
        yield json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False, default=str).encode()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def places(home: Home, *needles: bytes) -> list[str]:
    """Every file of the home that holds one of ``needles``; the models are only linked."""
    paths = [p for p in home.root.rglob("*") if p.is_file() and "models" not in p.relative_to(home.root).parts]
    return sorted(
        str(path.relative_to(home.root))
        for path in paths
        if any(needle in data for data in decoded(path) for needle in needles)
    )


def test_not_one_byte_is_left_anywhere(full_home: Home, engine: EngineClient, tmp_path: Path) -> None:
    home = full_home
    memory = Memory(home)
    # MEMORY.md, a note, the identity, our own transcripts (one taught by, one told), a log of somebody else's.
    receipt = memory.add(FACT)
    memory.add(OTHER)
    (home.notes_dir / "2026-02-08.md").write_text(f"# Garden\n\nWe dug. {FACT}, says Ana. Then we ate.\n\n- {OTHER}\n")
    with (home.identity_dir / "USER.md").open("a") as file:
        file.write(f"\n- {FACT}.\n")
    told, question, reply = own_conversation(home, f"Remember that {FACT.lower()}!", REPLY, [])
    told.title("the Sobreirovelho well")
    told.edit(reply, f"{REPLY} Truly.")
    own_conversation(home, "where do we get water in August?", "Somewhere near, under a tree.", [receipt.id])
    own_conversation(home, "what of the kettle?", "The kettle is on the stove, as ever it was.", [])
    log = tmp_path / "log.jsonl"
    log.write_text(
        json.dumps(
            {"messages": [{"role": "user", "content": f"Note: {FACT}."}, {"role": "assistant", "content": REPLY}]}
        )
    )
    memory.sync()
    memory.ingest([log])
    memory.fill_vectors()
    memory.warm()
    with memory._store.locked() as connection:
        vectors = [
            bytes(row[0])
            for row in connection.execute(
                "SELECT v.vector FROM vectors v JOIN chunks c USING (text_hash) WHERE c.text LIKE '%obreirovelho%'"
            )
        ]
    assert len(vectors) >= 4

    # What the school writes: a dataset, an answer of a teacher, signals, a run, a molt with its report.
    dataset = home.datasets_dir / "d"
    write_dataset(home, dataset, load_config("", ["conversation_tokens=1024"]))
    told_id = next(talk.id for talk in memory.conversations() if talk.own and talk.turns[0].id == question)
    shown_id = next(
        talk.id for talk in memory.conversations() if talk.own and receipt.id in talk.turns[1].shown_memories
    )
    for key, messages, text in (("k1", (("user", FACT),), REPLY), ("k2", (("user", "kettle?"),), "On the stove.")):
        Replies(home, "t").add(
            Reply(
                key,
                "t",
                "openai",
                "m",
                told_id if key == "k1" else "c",
                "q",
                (question,) if key == "k1" else ("q",),
                "conversation",
                "normal",
                "2026-02-01T10:00:00Z",
                "0",
                messages,
                "ok",
                text,
                "Why.",
                "",
                1,
                2,
                "",
            )
        )
    (tokens,) = engine.tokenize([Segment(REPLY)])
    other_tokens = list(range(40, 60))
    (signals_dir(home) / "t").mkdir(parents=True)
    store = SignalStore(signals_dir(home) / "t")
    with store.writing():
        for key, ids, sources in (("aa" * 32, tokens, [told_id, reply]), ("bb" * 32, other_tokens, ["c"])):
            n = len(ids)
            store.add(
                [
                    (
                        key,
                        signal(
                            ids,
                            np.arange(1, n + 1),
                            -np.ones(n),
                            np.tile(ids, (n, 1))[:, :8],
                            -np.ones((n, 8)),
                            np.ones((n, 1)),
                            (2.0,),
                        ),
                        sources,
                    )
                ]
            )
    run = RunFolder(home.training_dir)
    run.path.mkdir(parents=True)
    (run.path / STATE_NAME).write_text(json.dumps({"examples": [{"tokens": tokens}], "conversation": told_id}))
    registry = Registry(home.molts_dir)
    folder = registry.folder(7)
    folder.mkdir(parents=True)
    (folder / "adapter.gguf").write_bytes(b"weights")
    (folder / "report.json").write_text(
        json.dumps({"samples": [{"question": "?", "champion": REPLY, "candidate": "Hm."}]})
    )
    (folder / "report.md").write_text(f"# Molt 7\n\n- champion: {REPLY}\n- candidate: Hm.\n")
    write_manifest(
        folder,
        {
            "schema": 1,
            "molt": 7,
            "created_at": "2026-02-20T10:00:00Z",
            "base_sha256": "cd" * 32,
            "verdict": "promoted",
            "files": describe_files(folder, ["adapter.gguf", "report.json", "report.md"]),
            "targets": [{"conversation": told_id, "message": reply, "sha256": "0", "why": "approved"}],
        },
    )
    registry.promote(7, "cd" * 32)
    # What the runtime keeps, and what is merely left over.
    (home.cache_dir / "kv").mkdir(exist_ok=True)
    (home.cache_dir / "kv" / "x.kv").write_bytes(FACT.encode())
    (home.logs_dir / "retrain.log").write_text(f"step 1\nValueError: {FACT}\nstep 2\n")
    (home.root / ".MEMORY.md.abcd1234").write_text(f"- {FACT}\n")
    assert pq.read_table(dataset / "examples.parquet").num_rows == 4
    held = places(home, *RARE)
    for wanted in (
        "MEMORY.md",
        ".MEMORY.md.abcd1234",
        "memory/2026-02-08.md",
        "identity/USER.md",
        "teachers/t/replies.jsonl",
        "datasets/d/examples.parquet",
        "logs/retrain.log",
        "cache/kv/x.kv",
        "molts/0007/report.json",
        "molts/0007/report.md",
        f"sessions/{told.path.name}",
    ):
        assert wanted in held
    assert any(place.startswith("memory.db") for place in held)  # or in its write-ahead log
    assert any(place.startswith("chroma/") for place in places(home, vectors[0]))

    farewell = forget(home, memory, [receipt.id])

    tokens_bytes = [np.asarray(tokens, kind).tobytes() for kind in ("<u4", "<u8", "<u2")] + [
        b"".join(int(one).to_bytes(3, "little") for one in tokens)
    ]
    tokens_text = [separator.join(map(str, tokens)).encode() for separator in (", ", ",", " ")]
    needles = [
        *RARE,
        *tokens_bytes,
        *tokens_text,
        *(part for vector in vectors for part in (vector, vector[:48], vector[-48:])),
    ]
    assert places(home, *needles) == []
    memory.close()
    assert places(home, *needles) == []

    # The fact that something was there stays, and so does everything else.
    assert [turn.text for turn in Memory(home).conversation(told_id).turns] == [FORGOTTEN, FORGOTTEN]  # type: ignore[union-attr]
    assert f"- {OTHER}" in home.memory_file.read_text()
    assert (
        home.notes_dir / "2026-02-08.md"
    ).read_text() == f"# Garden\n\nWe dug. , says Ana. Then we ate.\n\n- {OTHER}\n"
    assert [one.key for one in Replies(home, "t")] == ["k2"]
    kept = SignalStore(signals_dir(home) / "t")
    assert (kept.get("aa" * 32), kept.get("bb" * 32) is None) == (None, False)
    assert (home.logs_dir / "retrain.log").read_text() == "step 1\nstep 2\n"
    assert not run.exists
    # Every row of a dataset carries the identity, and USER.md held the fact.
    assert pq.read_table(dataset / "examples.parquet").num_rows == 0
    assert json.loads((folder / "report.json").read_text())["samples"][0] == {
        "question": "?",
        "champion": FORGOTTEN,
        "candidate": "Hm.",
    }
    # The molt carries it on, and says so; a molt that was trained where it was shown would too.
    (carrier,) = farewell.molts
    assert (carrier.number, carrier.speaks, carrier.replies) == (7, True, 1)
    assert next(one.text for one in farewell.receipts if one.action == "carried").startswith(
        "molt 7, who speaks now, learnt 1"
    )
    assert {told_id, shown_id} <= farewell.gone.conversations
    assert [one.number for one in carriers(home, [shown_id])] == []
    registry.get(7).verify()
    assert {one.action for one in farewell.receipts} == {"removed", "redacted", "forgotten", "carried"}

    # Read again, it stays gone.
    again = Memory(home)
    again.sync()
    log.touch()
    again.ingest([log])
    again.fill_vectors()
    assert again.recall("where is the hidden well under the cork oak Sobreirovelho") == [] or all(
        "cork" not in one.text for one in again.recall("hidden well cork oak Sobreirovelho")
    )
    again.close()
    assert places(home, *needles) == []
