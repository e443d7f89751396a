"""Runs the turns of the agent in a thread, one after the other, and keeps the questions that wait."""

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import App

from molting_agent.events import Notice
from molting_agent.ui.background import one_line
from molting_agent.ui.messages import AgentEvent, ConsentAsked, TurnEnded

if TYPE_CHECKING:
    from molting_agent.agent import Agent
    from molting_agent.tools.acting import Answer, Proposal

LOOK_S = 0.1
"""How soon a turn that waits for an answer sees that it was stopped."""


class Turns:
    """``agent`` gives the agent, None while he wakes up. His events reach the app as AgentEvent, then TurnEnded."""

    def __init__(self, app: App[Any], agent: "Callable[[], Agent | None]") -> None:
        self.app = app
        self.agent = agent
        self.busy = False
        self._stopped = threading.Event()
        self.waiting: deque[str] = deque()
        self.lock = threading.Lock()
        """Held during a turn, and by whoever swaps the molt between turns."""

    def send(self, text: str) -> None:
        """Ask now, or after the questions before this one."""
        self.waiting.append(text)
        self.next()

    def next(self) -> None:
        """Begin the next waiting question, if he is free."""
        agent = self.agent()
        if agent is None or self.busy or not self.waiting:
            return
        text = self.waiting.popleft()
        self._begin(agent, text, again=False)

    def again(self, text: str) -> None:
        """Ask the last question of the conversation anew; the caller went back to it."""
        agent = self.agent()
        if agent is not None and not self.busy:
            self._begin(agent, text, again=True)

    def _begin(self, agent: "Agent", text: str, *, again: bool) -> None:
        self.busy = True
        self._stopped.clear()
        threading.Thread(target=self._turn, args=(agent, text, again), name="molting-turn", daemon=True).start()

    def stop(self) -> None:
        """End the reply that is being spoken."""
        agent = self.agent()
        if agent is not None and self.busy:
            self._stopped.set()
            agent.stop()

    def take_back(self) -> str:
        """The last waiting question, for editing; "" when none waits."""
        return self.waiting.pop() if self.waiting else ""

    def ask(self, proposal: "Proposal") -> "Answer":
        """Ask the person in the app and wait, in the turn's thread; a stopped turn is a no."""
        asked = ConsentAsked(proposal, queue.SimpleQueue())
        self.app.post_message(asked)
        while not self._stopped.is_set():
            try:
                return asked.answer.get(timeout=LOOK_S)
            except queue.Empty:
                continue
        return "no"

    def _turn(self, agent: "Agent", text: str, again: bool) -> None:
        error = ""
        agent.consent = self.ask
        try:
            with self.lock:
                for event in agent.turn(text, again=again):
                    if isinstance(event, Notice) and event.severity == "error":
                        error = event.text
                    self.app.post_message(AgentEvent(event))
        except Exception as failure:  # a thread that dies silently would leave the person waiting for ever
            error = one_line(failure)
            self.app.post_message(AgentEvent(Notice(error, "error")))
        self.app.post_message(TurnEnded(error))
