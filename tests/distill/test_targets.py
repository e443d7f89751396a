"""What may be learnt from: teachers' logs, and of his own replies only those the person approved or edited."""

import pytest
from talks import question, reply, talk

from distill.targets import targets_of


@pytest.mark.parametrize(
    ("own", "fields", "why"),
    [
        (False, {}, "imported"),
        (True, {"spoken_by": 1}, None),
        (True, {"spoken_by": 1, "approved": True}, "approved"),
        (True, {"spoken_by": 1, "edited_text": "Better."}, "edited"),
        (True, {"spoken_by": 1, "approved": False}, None),
        (False, {"label": "never-train"}, None),
        (True, {"spoken_by": 1, "approved": True, "label": "private"}, None),
        (False, {"trust": "untrusted"}, None),
        (False, {"spoken_by": 2}, None),
    ],
)
def test_rule(own: bool, fields: dict[str, object], why: str | None) -> None:
    turn = reply("r", **fields)
    found, left_out = targets_of(talk("a", question(), turn, own=own))
    assert [t.why for t in found] == ([why] if why else [])
    assert sum(left_out.values()) == (0 if why else 1)


def test_edit_is_what_is_learnt() -> None:
    found, _ = targets_of(talk("a", question(), reply("r", spoken_by=1, edited_text="Better."), own=True))
    assert found[0].text == "Better."
