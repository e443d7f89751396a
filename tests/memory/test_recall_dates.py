"""The days that questions name, in both languages, and how near a memory is to them."""

from datetime import date

import pytest

from memory.recall.dates import Span, asked_spans, nearness

TODAY = date(2026, 11, 24)  # a Tuesday


def _days(first: str, last: str = "") -> Span:
    return Span(date.fromisoformat(first), date.fromisoformat(last or first))


@pytest.mark.parametrize(
    ("question", "span"),
    [
        ("what did we do last Sunday", _days("2026-11-22")),
        ("o que fizemos no domingo passado?", _days("2026-11-22")),
        ("what happened in February", _days("2026-02-01", "2026-02-28")),
        ("o que aconteceu em fevereiro de 2024", _days("2024-02-01", "2024-02-29")),
        ("in December", _days("2025-12-01", "2025-12-31")),
        ("what did I say on 8 February 2026", _days("2026-02-08")),
        ("what did I say on Feb 8th", _days("2026-02-08")),
        ("notes of 2026-02-08", _days("2026-02-08")),
        ("a 3 de junho", _days("2026-06-03")),
        ("at the end of July", _days("2026-07-20", "2026-07-31")),
        ("who came last week", _days("2026-11-16", "2026-11-22")),
        ("quem veio na semana passada", _days("2026-11-16", "2026-11-22")),
        ("two weeks ago", _days("2026-11-08", "2026-11-12")),
        ("há 3 dias", _days("2026-11-21")),
        ("o mês passado", _days("2026-10-01", "2026-10-31")),
        ("yesterday", _days("2026-11-23")),
        ("anteontem", _days("2026-11-22")),
        ("last weekend", _days("2026-11-21", "2026-11-22")),
        ("in May", _days("2026-05-01", "2026-05-31")),
        ("in 2022", _days("2022-01-01", "2022-12-31")),
    ],
)
def test_a_time_is_understood_and_taken_out(question: str, span: Span) -> None:
    spans, rest = asked_spans(question, TODAY)
    assert spans == [span]
    assert not any(word in rest for word in ("Sunday", "domingo", "week", "semana", "Feb", "20", "May"))


@pytest.mark.parametrize(
    "question",
    ["may I ask you something", "march on", "when do the backups run on Mondays", "31 of them", "2026-13-41", "ok"],
)
def test_what_names_no_day_is_left_as_it_is(question: str) -> None:
    assert asked_spans(question, TODAY) == ([], question)


def test_last_friday_is_seen_from_the_day_that_is_named() -> None:
    spans, _ = asked_spans("what did she finish last Friday, on 23 January 2022", TODAY)
    assert spans == [_days("2022-01-23"), _days("2022-01-21")]


def test_a_memory_is_nearer_the_fewer_days_there_are_between() -> None:
    spans = [_days("2026-02-08")]
    days = ("2026-02-08T23:00:00Z", "2026-02-11", "2026-02-20", "2026-03-30")
    after = [nearness(day, spans) for day in days]
    assert after[0] == 1.0
    assert after == sorted(after, reverse=True)
    assert after[-1] == 0.0
    assert nearness("2026-02-06", spans) < nearness("2026-02-10", spans), "told afterwards more than planned before"
    assert nearness("", spans) == nearness("no time", spans) == nearness("2026-02-08", []) == 0.0
