"""The data card says what the parquet files hold: every figure of it is parsed and counted again in the rows."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from talks import CONVERSATIONS, question, reply, talk

from distill import dataset_files
from distill.card import bars
from distill.config import DistillConfig
from distill.dataset import split
from distill.lesson_rows import pair_row, write_dataset
from distill.topics import topics
from memory.home import Home

Table = dict[str, list[str]]


def tables(text: str) -> list[Table]:
    """Every table of a Markdown text: the first cell of each row -> the others."""
    found: list[Table] = []
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.strip().splitlines()]
        found.append({row[0]: row[1:] for row in (rows[0], *rows[2:])})
    return found


def section(card: str, title: str) -> str:
    return card.split(f"## {title}\n")[1].partition("\n## ")[0]


def numbers(cells: list[str]) -> list[int]:
    return [int(cell.replace(",", "")) for cell in cells]


@pytest.fixture
def written(taught_home: Home, tmp_path: Path) -> Path:
    write_dataset(taught_home, tmp_path / "d", DistillConfig(heldout_share=0.3, newest_share=0.4, row_tokens=1200))
    return tmp_path / "d"


def test_every_figure_of_the_card_is_in_the_rows(written: Path) -> None:
    examples, pairs, made = dataset_files.read(written)
    card = (written / "dataset.md").read_text()
    (sides,) = tables(section(card, "Sides"))
    assert sides.pop("split") == ["conversations", "examples", "replies", "tokens", "learnt tokens"]
    for name, cells in sides.items():
        rows = [row for row in examples if name in (row["split"], "all")]
        assert numbers(cells) == [
            len({row["conversation"] for row in rows}),
            len(rows),
            sum(m["target"] for row in rows for m in row["messages"]),
            sum(len(row["tokens"]) for row in rows),
            sum(sum(row["is_target"]) for row in rows),
        ]
    assert all(numbers(sides[name])[0] > 0 for name in ("train", "heldout", "heldout_newest"))
    held = [row for row in examples if row["split"] == "heldout"]
    newest = [row for row in examples if row["split"] == "heldout_newest"]
    assert max(row["started_at"] for row in held) <= min(row["started_at"] for row in newest)

    formats, grounds = tables(section(card, "Sources"))
    by_format = Counter({row["conversation"]: row["format"] for row in examples}.values())
    assert {name: int(cells[0]) for name, cells in list(formats.items())[1:]} == by_format
    assert int(grounds["imported"][0]) == sum(len(row["target_ids"]) for row in examples)

    context = section(card, "Context and rationales")
    train = [row for row in examples if row["split"] == "train"]
    identity = sum(row["system"] == "identity" for row in train)
    assert f"the whole identity on {identity} of {len(train)} " in context
    replies = [m for row in examples for m in row["messages"] if m["target"]]
    assert f"beside {sum(bool(m['rationale']) for m in replies)} of {len(replies)} " in context

    days = sorted(row["started_at"][:10] for row in examples)
    assert f"{days[0]} to {days[-1]}" in card
    assert f"; {len(pairs)} preference pairs" in card
    left_out = tables(section(card, "Left out"))
    assert {k: int(v[0]) for table in left_out for k, v in list(table.items())[1:]} == made["left_out"]


def test_the_histograms_count_every_example_and_reply(written: Path) -> None:
    examples, _pairs, _made = dataset_files.read(written)
    first, second = re.findall(r"```text\n(.*?)\n```", (written / "dataset.md").read_text(), re.DOTALL)
    counted = [sum(numbers([line.split()[-1] for line in block.splitlines()])) for block in (first, second)]
    assert counted == [len(examples), sum(len(row["target_ids"]) for row in examples)]
    within = sum(64 < row["n_tokens"] <= 128 for row in examples)
    assert re.search(rf"up to 128 .* {within}$", first, re.MULTILINE) or not within


def test_bars_are_in_proportion() -> None:
    lines = bars([1] * 60 + [5] * 30 + [50], (2, 10)).splitlines()[1:-1]
    assert [line.count("█") for line in lines] == [30, 15, 1]
    assert [line.split()[-1] for line in lines] == ["60", "30", "1"]
    assert lines[-1].strip().startswith("over 10")


def test_the_figures_are_in_json_too_and_the_settings_in_the_card(written: Path) -> None:
    known = json.loads((written / "dataset.json").read_text())
    settings = tables(section((written / "dataset.md").read_text(), "How it was made"))[0]
    for name, value in DistillConfig(heldout_share=0.3, newest_share=0.4, row_tokens=1200).to_dict().items():
        assert known["made"]["config"][name] == value
        assert settings[name] == [f"`{value}`"]
    assert known["figures"]["all"]["conversations"] == len(list(CONVERSATIONS.rglob("*.jsonl")))


def test_pairs_are_counted_by_kind(tmp_path: Path, written: Path) -> None:
    examples, _pairs, made = dataset_files.read(written)
    conversation = talk("a", question(), reply("r", "Yes sir!", edited_text="Yes, and 12 percent is free."))
    found = split([conversation], DistillConfig(heldout_share=1e-9)).pairs
    dataset_files.write(tmp_path / "e", examples, [pair_row(pair, "train") for pair in found], made)
    _examples, pairs, _made = dataset_files.read(tmp_path / "e")
    assert [(row["kind"], row["chosen"], row["rejected"], row["split"]) for row in pairs] == [
        ("edit", "Yes, and 12 percent is free.", "Yes sir!", "train")
    ]
    (kinds,) = tables(section((tmp_path / "e" / "dataset.md").read_text(), "Preference pairs"))
    assert kinds["edit"] == ["1"]


def test_topics_group_what_belongs_together() -> None:
    subjects = ("tide ferry harbour mooring", "backup disk restore checksum", "fugue cadence oboe counterpoint")
    rows = [
        {
            "conversation": f"{i}",
            "messages": [{"role": "system", "content": "squid"}, {"role": "user", "content": text}],
        }
        for i, text in enumerate(subjects * 10)
    ]
    found = topics(rows)
    assert sorted(topic.conversations for topic in found) == [10, 10, 10]
    assert {frozenset(topic.words[:4]) for topic in found} == {frozenset(text.split()) for text in subjects}
    assert topics(rows[:5]) == []
