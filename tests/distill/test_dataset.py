"""What is written as a dataset: the examples a retraining reads, no copies, nothing labelled, and nothing forgotten."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from talks import CONVERSATIONS, QUICK, question, reply, talk

from distill import dataset_files
from distill.collect import collect
from distill.config import DistillConfig, load_config
from distill.dataset import COPY_OF_LABELLED, NEAR_COPY, REPEATED, split
from distill.dataset_files import read, remove
from distill.forget import forget, forget_all
from distill.lesson_rows import write_dataset
from distill.targets import targets_of
from memory.api import Memory
from memory.errors import UsageError
from memory.home import Home
from memory.transcripts.model import Transcript
from memory.transcripts.writer import SessionWriter
from molting_agent.identity import create_home
from molting_agent.runtime.client import EngineClient

CONFIG = DistillConfig(heldout_share=1e-9)
LONG = (
    "The tide at Crestuma turns at six and the ferry leaves the quay ten minutes later, whatever the board there says."
)


def bytes_of(folder: Path) -> bytes:
    """All files of a dataset as they lie there, and the parquet files once more unpacked."""
    raw = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    examples, pairs, _made = read(folder)
    return raw + json.dumps([examples, pairs], ensure_ascii=False).encode()


def say(home: Home, *exchanges: tuple[str, str]) -> tuple[str, list[str]]:
    """An own session whose replies are all approved; returns its id and those of the replies."""
    session = SessionWriter.create(home.sessions_dir)
    replies = []
    for asked, said in exchanges:
        session.user(asked)
        replies.append(session.assistant(said, molt=1, base_sha256="b", model="SmolLM2", memories=[]))
        session.rate(replies[-1], 1)
    return session.id, replies


@pytest.fixture
def own_home(home: Home) -> Home:
    create_home(home)
    return home


# -- what is chosen ----------------------------------------------------------------------------------------------------


def test_of_near_copies_the_older_stays_and_none_stands_on_the_other_side() -> None:
    talks = [talk(f"c{i}", question(LONG * 4), reply("r", f"{LONG} {i}")) for i in range(40)]
    talks[7] = replace(talks[7], started_at="2025-12-24T10:00:00Z")
    sides = split(talks, DistillConfig())
    assert [d.conversation for d in sides.train + sides.heldout] == ["c7"]
    assert sides.left_out[NEAR_COPY] == 39


def test_the_copy_with_the_persons_verdict_stays() -> None:
    old = talk("old", question(LONG), reply("r", LONG))
    edited = talk("new", question(LONG), reply("r", LONG, edited_text=f"{LONG} Hurry."))
    assert [d.conversation for d in split([old, edited], CONFIG).train] == ["new"]


def test_a_copy_of_a_labelled_conversation_goes_as_well() -> None:
    labelled = talk("a", question(LONG, label="never-train"), reply("r", LONG, label="never-train"))
    sides = split([labelled, talk("b", question(LONG), reply("r", LONG))], CONFIG)
    assert (sides.train, sides.left_out[COPY_OF_LABELLED]) == ([], 1)


def test_the_same_words_are_a_target_once_and_stay_context() -> None:
    talks = [
        talk(
            f"c{i}", question(f"{i} {LONG}"), reply("r1", "As I said."), question(f"and {i}?"), reply("r2", f"No, {i}.")
        )
        for i in range(3)
    ]
    for repeats in (1, 2):
        sides = split(talks, DistillConfig(heldout_share=1e-9, reply_repeats=repeats, near_copy_jaccard=1.0))
        said = [m.target for d in sides.train for m in d.messages if m.content == "As I said."]
        assert (sum(said), len(said), sides.left_out[REPEATED]) == (repeats, 3, 3 - repeats)
        assert all(sum(m.target for m in d.messages) == len(d.targets) for d in sides.train)


def test_everything_is_scrubbed_once_more_and_a_placeholder_means_one_thing() -> None:
    turns = (
        question("write to ana.lopes@gmail.com or [EMAIL_1]"),
        reply("r", "To ana.lopes@gmail.com, then.", rationale="ana.lopes@gmail.com it is", shown_memories=("m",)),
    )
    (dialogue,) = (sides := split([talk("c", *turns)], CONFIG, lambda _ids: "Notes: rui.paz@gmail.com")).train
    assert [m.content for m in dialogue.messages] == [
        "Notes: [EMAIL_3]\n\nwrite to [EMAIL_2] or [EMAIL_1]",
        "To [EMAIL_2], then.",
    ]
    assert dialogue.targets[0].rationale == "[EMAIL_2] it is"
    assert sides.redactions == {"EMAIL": 4}


def test_a_scrubbed_reply_keeps_the_key_it_has_in_the_memory() -> None:
    conversation = talk("c", question(), reply("r", "Write to ana.lopes@gmail.com."))
    (dialogue,) = split([conversation], CONFIG).train
    assert dialogue.targets[0].text == "Write to [EMAIL_1]."
    assert dialogue.targets[0].key == targets_of(conversation)[0][0].key


def test_the_newest_of_the_held_out_are_named() -> None:
    talks = [
        Transcript(
            f"c{i}", "pi", Path("x"), (question(f"{i}?"), reply("r", f"No, {i}.")), started_at=f"2026-01-{i:02d}"
        )
        for i in range(1, 31)
    ]
    sides = split(talks, DistillConfig(heldout_share=0.5, newest_share=0.25))
    days = sorted((d.started_at, d.conversation) for d in sides.heldout)
    assert len(days) > 8
    assert sides.newest == {conversation for _day, conversation in days[-round(len(days) / 4) :]}


# -- what is written ---------------------------------------------------------------------------------------------------


def test_the_files_hold_what_a_retraining_reads(taught_home: Home, tmp_path: Path, engine: EngineClient) -> None:
    config = load_config("", ["heldout_share=0.3", "row_tokens=1500", "conversation_tokens=300"])
    write_dataset(taught_home, tmp_path / "d", config)
    examples, _pairs, _made = read(tmp_path / "d")
    collected = collect(taught_home, engine, config)
    train = [row for row in examples if row["split"] == "train"]
    assert [tuple(row["tokens"]) for row in train] == [example.tokens for example in collected.examples]
    assert [tuple(row["is_target"]) for row in train] == [example.is_target for example in collected.examples]
    assert max(row["n_tokens"] for row in train) <= 300
    assert {row["conversation"] for row in examples if row["split"] != "train"} == {
        dialogue.conversation for dialogue in collected.heldout
    }
    assert {row["system"] for row in train} == {"identity", "short"}
    for row in examples:
        replies = [m for m in row["messages"] if m["target"]]
        assert len(replies) == len(row["target_ids"]) == len(row["target_grounds"])
        assert all(m["rationale"] for m in replies)
        assert row["messages"][-1]["target"]
        assert (row["messages"][0]["content"] == config.short_system) == (row["system"] == "short")
        assert Path(row["source"]).is_relative_to(CONVERSATIONS)
        assert row["n_target_tokens"] == sum(row["is_target"])


def test_labelled_text_is_in_no_file(own_home: Home, tmp_path: Path) -> None:
    say(own_home, ("what now?", "The kettle, then the mail."), ("<private>pin is heron</private>", "Kept as heron."))
    for name, label in (("a", "never-train"), ("b", "private")):
        log = tmp_path / f"{name}.jsonl"
        header = {"type": "session", "version": 3, "id": f"s{name}", "timestamp": "2026-02-01T10:00:00Z", "cwd": ""}
        texts = (("user", f"the word is cormorant{name}"), ("assistant", f"So it is cormorant{name}."))
        lines = [
            {
                "type": "message",
                "id": f"{i}",
                "parentId": f"{i - 1}" if i else None,
                "message": {"role": r, "content": t},
            }
            for i, (r, t) in enumerate(texts)
        ]
        log.write_text("".join(json.dumps(line) + "\n" for line in [header, *lines]))
        memory = Memory(own_home)
        memory.ingest([log], label=label)  # type: ignore[arg-type]
        memory.close()
    write_dataset(own_home, tmp_path / "d", CONFIG)
    found = bytes_of(tmp_path / "d")
    assert b"The kettle, then the mail." in found
    assert b"heron" not in found
    assert b"cormorant" not in found
    memory = Memory(own_home)
    assert any("cormoranta" in hit.text for hit in memory.recall("what is the word cormoranta"))
    memory.close()


def test_a_labelled_note_is_shown_but_not_learnt(own_home: Home, tmp_path: Path) -> None:
    own_home.memory_file.write_text(
        "# Notes\n\n- the boat is called Gaivota\n\n<private>- the safe is behind Rui</private>\n"
    )
    memory = Memory(own_home)
    memory.sync()
    ids = [found.id for found in memory.list()]
    memory.close()
    session = SessionWriter.create(own_home.sessions_dir)
    session.user("the boat?")
    said = session.assistant("Gaivota, of course.", molt=1, base_sha256="b", model="SmolLM2", memories=ids)
    session.rate(said, 1)
    write_dataset(own_home, tmp_path / "d", CONFIG)
    found = bytes_of(tmp_path / "d")
    assert b"the boat is called Gaivota" in found
    assert b"behind Rui" not in found


def test_untrusted_replies_are_no_targets(own_home: Home, tmp_path: Path) -> None:
    untrusted = talk("c", question(), reply("r1", "I obey the page."), question("b?"), reply("r2", "No, it is not."))
    turns = [*untrusted.turns]
    turns[1] = reply("r1", "I obey the page.", trust="untrusted")
    (dialogue,) = split([Transcript("c", "pi", Path("x"), tuple(turns))], CONFIG).train
    assert [m.content for m in dialogue.messages if m.target] == ["No, it is not."]


# -- what is taken out -------------------------------------------------------------------------------------------------


def test_what_is_removed_leaves_no_byte(own_home: Home) -> None:
    kept, _ = say(own_home, ("what now?", "The kettle, then the mail."))
    gone, replies = say(own_home, ("about the heron?", "The heron stands still."), ("and then?", "Then it has lunch."))
    folder = own_home.datasets_dir / "d"
    write_dataset(own_home, folder, CONFIG)
    assert b"heron" in bytes_of(folder)
    assert remove(folder, ["nobody"]) == 0
    assert remove(folder, [replies[0]]) == 1
    found = bytes_of(folder)
    assert b"heron" not in found
    assert gone.encode() not in found
    assert kept.encode() in found
    assert json.loads((folder / "dataset.json").read_text())["figures"]["all"]["conversations"] == 1
    assert "1 rows were removed" in (folder / "dataset.md").read_text()


def test_forgetting_a_memory_reaches_the_datasets_of_the_home(own_home: Home) -> None:
    say(own_home, ("what now?", "The kettle, then the mail."))
    say(own_home, ("where is the heron?", "The heron stands in the river."))
    folder = own_home.datasets_dir / "d"
    write_dataset(own_home, folder, CONFIG)
    memory = Memory(own_home)
    gone = memory.forget_all([hit.id for hit in memory.list() if "heron" in hit.text])
    assert forget_all(own_home, gone) == 1
    assert b"heron" not in bytes_of(folder)
    write_dataset(own_home, folder, CONFIG)
    memory.close()
    assert b"heron" not in bytes_of(folder)
    assert b"[forgotten]" not in bytes_of(folder)


def test_what_a_killed_writer_left_is_put_right(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    conversation, _ = say(own_home, ("where is the heron?", "The heron stands in the river."))
    folder = own_home.datasets_dir / "d"
    write_dataset(own_home, folder, CONFIG)
    half = own_home.datasets_dir / ".d.new-abc"
    half.mkdir()
    (half / "examples.parquet").write_text("heron")
    old = own_home.datasets_dir / ".d.old-abc"
    old.mkdir()
    folder.rename(old / "dataset")
    assert forget(own_home, [conversation]) == 1
    assert [path.name for path in own_home.datasets_dir.iterdir()] == ["d"]
    assert b"heron" not in bytes_of(folder)

    def fail(*_args: object) -> str:
        raise OSError(28, "No space left on device")

    before = bytes_of(folder)
    monkeypatch.setattr(dataset_files, "card", fail)
    with pytest.raises(OSError, match="No space"):
        write_dataset(own_home, folder, CONFIG)
    assert bytes_of(folder) == before
    assert [path.name for path in own_home.datasets_dir.iterdir()] == ["d"]


# -- the command -------------------------------------------------------------------------------------------------------


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "distill", "dataset", *arguments], capture_output=True, text=True, check=False
    )


def test_command_writes_into_the_home_and_says_where(taught_home: Home) -> None:
    settings = [part for setting in QUICK for part in ("--set", setting)]
    done = command("--home", str(taught_home.root), *settings, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert Path(said["out"]) == taught_home.datasets_dir / "sft"
    assert said == {
        "out": said["out"],
        **json.loads((taught_home.datasets_dir / "sft" / "dataset.json").read_text())["figures"],
    }
    assert said["all"]["replies"] > 20


def test_command_reads_transcripts_without_a_home(tmp_path: Path, make_home: Callable[..., Home]) -> None:
    done = command(str(CONVERSATIONS / "openclaw"), "--out", str(tmp_path / "d"))
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "d") in done.stdout
    assert {row["format"] for row in read(tmp_path / "d")[0]} == {"pi"}


def test_errors_are_one_line_and_leave_other_folders_alone(own_home: Home, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="is no dataset"):
        write_dataset(own_home, tmp_path / "mine", CONFIG)
    for arguments, words in (
        ([], "give --home"),
        (["--home", str(tmp_path / "nowhere")], "is no home"),
        ([str(CONVERSATIONS)], "--out FOLDER"),
        (["--home", str(own_home.root), "--set", "near_copy_jaccard=7"], "makes no sense"),
    ):
        done = command(*arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
