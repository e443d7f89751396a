"""Small conversations and quick settings for the school's tests."""

from pathlib import Path

from memory.transcripts.model import Transcript, Turn

CONVERSATIONS = Path(__file__).parent.parent / "fixtures" / "claudio"

# A whole retraining in some seconds: two short steps, a small judge.
QUICK = [
    "epochs=0.2",
    "row_tokens=900",
    "conversation_tokens=400",
    "identity_share=0",
    "lora_rank=2",
    "heldout_share=0.3",
    "heldout_min=1",
    "heldout_max=2",
    "general_questions=8",
    "facts_questions=0",
    "judge_replies=2",
    "judge_reply_tokens=12",
    "style_prompts=3",
    "bootstrap=200",
    "checkpoint_s=0",
]


def talk(name: str, *turns: Turn, own: bool = False) -> Transcript:
    """A transcript of these turns."""
    return Transcript(name, "pi", Path(f"{name}.jsonl"), turns, own=own, started_at="2026-02-01T10:00:00Z")


def question(text: str = "is baleia ok?", **fields: object) -> Turn:
    return Turn("q", "user", text, 1, **fields)  # type: ignore[arg-type]


def reply(name: str, text: str = "No. 12 percent is free.", **fields: object) -> Turn:
    return Turn(name, "assistant", text, 2, **{"trust": "agent", **fields})  # type: ignore[arg-type]
