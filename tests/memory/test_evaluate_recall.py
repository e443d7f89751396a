"""``python -m memory.evaluate`` on small files in the published formats, through real SQLite and the real embedder."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from memory.errors import UsageError
from memory.evaluate.__main__ import main
from memory.evaluate.locomo import read_locomo
from memory.evaluate.longmemeval import read_longmemeval
from memory.evaluate.measures import measures


def _locomo(name: str, animal: str) -> dict[str, Any]:
    def said(number: int, speaker: str, text: str) -> dict[str, str]:
        return {"speaker": speaker, "dia_id": f"D{number}", "text": text}

    return {
        "sample_id": name,
        "conversation": {
            "speaker_a": "Ana",
            "speaker_b": "Rui",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {
                    **said(1, "Ana", f"I adopted a {animal} at the market."),
                    "dia_id": "D1:1",
                    "blip_caption": "a basket",
                },
                {**said(1, "Rui", "How lovely, what is it called?"), "dia_id": "D1:2"},
            ],
            "session_2_date_time": "10:00 am on 3 June, 2023",
            "session_2": [{**said(2, "Rui", "My boat needs new paint."), "dia_id": "D2:1"}],
            "session_3_date_time": "10:00 am on 4 June, 2023",
        },
        "qa": [
            {
                "question": f"Where did Ana adopt the {animal}?",
                "answer": "x",
                "evidence": ["D1:1; D1:2"],
                "category": 4,
            },
            {"question": "What does Rui's boat need?", "answer": "paint", "evidence": ["D2:1"], "category": 1},
            {"question": "What did Ana sell?", "evidence": ["D1:1"], "category": 5},
            {"question": "What is nowhere?", "evidence": [], "category": 3},
        ],
    }


LONGMEMEVAL = {
    "question_id": "q1",
    "question_type": "single-session-user",
    "question": "What colour is my bicycle?",
    "answer": "red",
    "question_date": "2023/05/30 (Tue) 23:40",
    "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/21 (Sun) 03:00"],
    "haystack_session_ids": ["answer_1", "noise_1"],
    "haystack_sessions": [
        [
            {"role": "user", "content": "My bicycle is red and has a bell.", "has_answer": True},
            {"role": "assistant", "content": "A red bicycle, noted."},
        ],
        [
            {"role": "user", "content": "How do I cook rice for six people?"},
            {"role": "assistant", "content": "With two parts of water for each part of rice."},
        ],
    ],
    "answer_session_ids": ["answer_1"],
}


def _file(tmp_path: Path, value: object) -> Path:
    path = tmp_path / "questions.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def _run(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_locomo_is_read_without_what_has_no_answer(tmp_path: Path) -> None:
    (haystack,) = read_locomo(_file(tmp_path, [_locomo("a", "parrot")]))
    assert [talk.transcript.started_at[:10] for talk in haystack.talks] == ["2023-05-08", "2023-06-03"]
    assert haystack.talks[0].chunks[0].text == "Ana: I adopted a parrot at the market. [a basket]"
    first, second = haystack.questions
    assert (first.talks, first.messages) == ({"a 1"}, {"D1:1", "D1:2"})
    assert (second.talks, second.kind) == ({"a 2"}, "several turns")


def test_locomo_is_asked_and_fitted(tmp_path: Path, prepared_embedder: Path) -> None:
    path = _file(tmp_path, [_locomo("a", "parrot"), _locomo("b", "lizard")])
    report = _run("locomo", path, "--models", prepared_embedder, "--home", tmp_path / "homes", "--fit")
    assert (report["haystacks"], report["questions"]) == (2, 4)
    assert set(report["modes"]) == {"lexical", "vector", "hybrid"}
    assert report["modes"]["hybrid"]["session hit@1"] == report["modes"]["hybrid"]["turn hit@5"] == 1.0
    assert set(report["fitted"]["weights"]) == {"a", "b", "nothing"}
    again = _run("locomo", path, "--models", prepared_embedder, "--home", tmp_path / "homes")
    assert again["modes"] == report["modes"], "kept homes give the same"


def test_longmemeval_is_asked(tmp_path: Path, prepared_embedder: Path) -> None:
    path = _file(tmp_path, [LONGMEMEVAL, {**LONGMEMEVAL, "question_id": "q2_abs"}])
    (haystack,) = read_longmemeval(path)
    assert haystack.questions[0].messages == {"answer_1:1"}
    report = _run("longmemeval", path, "--models", prepared_embedder)
    assert report["questions"] == 1
    assert report["modes"]["hybrid"]["session hit@1"] == report["modes"]["hybrid"]["turn hit@1"] == 1.0
    assert list(report["kinds"]) == ["single-session-user"]


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1]", '[{"qa": 1}]'])
@pytest.mark.parametrize("name", ["locomo", "longmemeval"])
def test_a_bad_file_is_one_line(tmp_path: Path, name: str, content: str) -> None:
    result = CliRunner().invoke(main, [name, str(_file(tmp_path, content))])
    assert result.exit_code == UsageError.exit_code
    assert result.output.startswith("error: ")
    assert result.output.count("\n") == 1
    missing = CliRunner().invoke(main, [name, str(tmp_path / "missing.json")])
    assert "cannot be read" in missing.output


def test_measures_by_hand() -> None:
    found = measures(["x", "a", "y", "z", "w", "b"], {"a", "b"})
    assert (found["hit@1"], found["hit@5"], found["recall@5"], found["recall@10"]) == (0.0, 1.0, 0.5, 1.0)
    assert found["ndcg@5"] == pytest.approx(0.6309 / 1.6309, abs=1e-4)
