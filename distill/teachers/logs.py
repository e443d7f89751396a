"""The logs as a teacher: the replies and rationales that stand in the conversations already."""

from distill.teachers.protocol import Answer, Prompt, Rejected, Traits

NOTHING = "no reply in the log that may be learnt from"


class LogsTeacher:
    """Answers with the logged reply where it may be learnt from; asks nobody and costs nothing."""

    def __init__(self, name: str) -> None:
        self.traits = Traits(
            name=name, kind="logs", model="logs", remote=False, identity={"kind": "logs"}, costs_tokens=False
        )

    def ask(self, prompt: Prompt) -> Answer:
        """See ``Teacher.ask``; Rejected where the log has no such reply."""
        if prompt.question.logged is None:
            raise Rejected(NOTHING)
        reply, rationale = prompt.question.logged
        return Answer(reply, rationale)

    def close(self) -> None:
        """Nothing is open."""
