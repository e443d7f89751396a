"""The app: one home, one agent, the chat screen and the screens beside it."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter, NoColor
from textual.screen import Screen
from textual.theme import Theme

from memory.home import Home
from molting_agent.events import Event, Notice
from molting_agent.ui.alone import LOOK_S, Alone
from molting_agent.ui.background import Deliver, in_background, one_line
from molting_agent.ui.chat import ChatScreen
from molting_agent.ui.consent import ask_consent
from molting_agent.ui.greeting import greet
from molting_agent.ui.identity_name import agent_name
from molting_agent.ui.keys import unknown_keys
from molting_agent.ui.messages import AgentEvent, ConsentAsked, TurnEnded
from molting_agent.ui.molting import Choice
from molting_agent.ui.palette import SlashCommands
from molting_agent.ui.screens.confirm import Confirm
from molting_agent.ui.screens.panel import PanelScreen
from molting_agent.ui.themes import DEFAULT_THEME, OWN_THEMES, theme_name
from molting_agent.ui.training import TrainingWatch
from molting_agent.ui.turns import Turns

if TYPE_CHECKING:
    from molting_agent.agent import Agent
    from molting_agent.config import Config
    from molting_agent.molt import Retraining

TICK_S = 1.0
SECOND_CTRL_C_S = 2.0


class MoltingApp(App[int]):
    """The terminal app of one home. The agent is made and opened in a thread after the first paint."""

    TITLE = "Molting"
    CSS_PATH = "molting.tcss"
    COMMANDS: ClassVar[set[Any]] = App.COMMANDS | {SlashCommands}
    BINDING_GROUP_TITLE = "Everywhere"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "show_help", "Help", id="app.help"),
        Binding("f2", "memory", "Memory", id="app.memory"),
        Binding("f3", "molts", "Molts", id="app.molts"),
        Binding("f4", "sessions", "Conversations", id="app.sessions"),
        Binding("f5", "ingest", "Ingest memories and logs", id="app.ingest", priority=True),
        Binding("f6", "identity", "Identity", id="app.identity", priority=True),
        Binding("f7", "settings", "Settings", id="app.settings", priority=True),
        Binding("ctrl+q", "quit", "Leave", id="app.quit", priority=True),
    ]

    def __init__(
        self,
        home: Home,
        config: "Config | None" = None,
        *,
        make_agent: "Callable[[], Agent] | None" = None,
        retraining: "type[Retraining] | None" = None,
    ) -> None:
        super().__init__()
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-tall")]
        self.home = home
        self.config = config
        self.agent: Agent | None = None
        self.ready = False
        """The agent was opened, or could not be and says so at each question."""
        self.chat = ChatScreen(agent_name(home.identity_dir), Turns(self, lambda: self.agent if self.ready else None))
        self.training = TrainingWatch(self, home, self.chat.note, retraining=retraining)
        self.keys = dict(config.keys) if config else {}
        """The person's own keys by binding id, from ``[keys]``."""
        self.choice = Choice(self)
        self.alone = Alone(self)
        self._make_agent = make_agent or self._real_agent
        self._ticking = False
        self._swap_error = ""
        self._ctrl_c_at = -SECOND_CTRL_C_S
        for theme in OWN_THEMES:
            self.register_theme(theme)
        wanted = config.ui.theme if config else DEFAULT_THEME
        self.theme = theme_name(wanted, list(self.available_themes)) or DEFAULT_THEME

    def _real_agent(self) -> "Agent":
        from molting_agent.agent import Agent
        from molting_agent.config import Config

        return Agent(self.home, self.config or Config())

    def get_default_screen(self) -> Screen[Any]:
        return self.chat

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        for number in (signal.SIGTERM, signal.SIGHUP):
            try:
                asyncio.get_running_loop().add_signal_handler(number, self.exit)
            except (NotImplementedError, RuntimeError, ValueError):  # not the main thread: whoever runs us handles them
                break
        if self.keys:
            self.set_keymap(self.keys)
        self.set_interval(TICK_S, self.tick)
        self.set_interval(LOOK_S, self.alone.look)
        self.call_after_refresh(self._open_agent)
        if self.config is not None:
            self.call_after_refresh(greet, self)

    # Waking up

    def _open_agent(self) -> None:
        """After the first paint: make the agent, find a training that went on meanwhile, load the model."""

        def work() -> list[Notice]:
            agent = self._make_agent()
            self.agent = agent
            self.training.attach()
            notices = list(agent.start())
            self.post_message(Deliver(self._made))
            return notices + list(agent.open())

        in_background(self, work, then=self._opened, failed=self._not_opened)

    def _made(self) -> None:
        """He is there, though his model still loads: his memory and his molts can be looked at."""
        self.chat.show_status()
        for screen in self.screen_stack:
            if isinstance(screen, PanelScreen):
                screen.awoke()

    async def _opened(self, notices: list[Notice]) -> None:
        agent = self.agent
        assert agent is not None  # noqa: S101 - the thread that made him delivered this
        self.ready = True
        status = agent.status
        spoken = f"molt {status.molt}" if status.molt else "molt 0, the base"
        self.chat.conversation.welcome.show(self.chat.speaker, f"{spoken} on {status.model_name}")
        self.chat.show_status()
        if wrong := unknown_keys(self.keys):
            await self.chat.note(wrong, "warning")
        await self.chat.show_events(notices)
        self.chat.turns.next()
        self.chat.show_queue()

    async def _not_opened(self, line: str) -> None:
        self.ready = self.agent is not None
        self.chat.conversation.welcome.show(self.chat.speaker, "could not wake up")
        await self.chat.note(line, "error")
        self.chat.turns.next()
        self.chat.show_queue()

    # What comes back from threads

    @property
    def over(self) -> bool:
        """The app is closing: what still comes in has no widget to go to."""
        return not self.chat.is_running or not self.chat.is_attached

    async def on_deliver(self, message: Deliver) -> None:
        result = None if self.over else message.callback()
        if result is not None:
            await result

    async def on_agent_event(self, message: AgentEvent) -> None:
        if self.over:
            return
        if self.training.run is not None:
            self.training.hold()
        await self.chat.show_event(message.event)

    def on_consent_asked(self, message: ConsentAsked) -> None:
        if self.over:
            message.answer.put("no")
            return
        ask_consent(self, message)

    def on_key(self) -> None:
        self.alone.touch()

    async def on_turn_ended(self, message: TurnEnded) -> None:
        if self.over:
            return
        self.alone.touch()
        await self.chat.turn_ended(message.error)
        if not self.chat.turns.busy:
            self.training.release()
            self.chat.show_status()

    def tick(self) -> None:
        """Each second: how far the training is, and between turns whether another molt was promoted."""
        if self._ticking or self.agent is None:
            return
        self._ticking = True

        async def looked(result: tuple[int | None, list[Event]]) -> None:
            self._ticking = False
            code, events = result
            if code is not None:
                number = await self.training.ended(code)
                await self.choice.ended(code, number)
            await self.chat.show_events(events)
            self.chat.show_status()

        async def failed(line: str) -> None:
            self._ticking = False
            if line != self._swap_error:  # the same trouble every second is said once
                self._swap_error = line
                await self.chat.note(line, "error")

        in_background(self, self._look, then=looked, failed=failed)

    def _look(self) -> tuple[int | None, list[Event]]:
        if self.training.running:
            self.choice.hold()
        code = self.training.look()
        events: list[Event] = []
        turns = self.chat.turns
        if self.ready and self.agent is not None and turns.lock.acquire(blocking=False):
            try:
                events = list(self.agent.poll_swap())
            finally:
                turns.lock.release()
        return code, events

    # Screens

    def action_show_help(self) -> None:
        from molting_agent.ui.screens.help import HelpScreen

        self.open_screen(HelpScreen)

    def action_memory(self) -> None:
        from molting_agent.ui.screens.memories import MemoryScreen

        self.open_screen(MemoryScreen)

    def action_molts(self) -> None:
        from molting_agent.ui.screens.molts import MoltsScreen

        self.open_screen(MoltsScreen)

    def action_sessions(self) -> None:
        from molting_agent.ui.screens.sessions import SessionsScreen

        self.open_screen(SessionsScreen)

    def action_ingest(self, paths: str = "") -> None:
        from molting_agent.ui.screens.ingest import IngestScreen

        self.open_screen(IngestScreen, paths)

    def action_identity(self) -> None:
        from molting_agent.ui.screens.identity import IdentityScreen

        self.open_screen(IdentityScreen)

    def action_settings(self) -> None:
        from molting_agent.ui.screens.settings import SettingsScreen

        self.open_screen(SettingsScreen)

    def open_screen(self, kind: type[Screen[Any]], *arguments: str) -> None:
        """Show a screen over the chat; the same key closes it, another key changes it."""
        if self.screen.is_modal:
            return
        if isinstance(self.screen, kind):
            self.pop_screen()
        elif self.screen is self.chat:
            self.push_screen(kind(*arguments))
        else:
            self.switch_screen(kind(*arguments))

    # Themes

    def choose_theme(self, name: str) -> None:
        """Change the theme; the change itself is kept, wherever it came from."""
        self.theme = name

    def _keep_theme(self, theme: Theme) -> None:
        def work() -> None:
            from molting_agent.config import set_value

            set_value(self.home, "ui.theme", theme.name)

        if self.config is not None and theme.name != self.config.ui.theme:
            in_background(self, work, failed=lambda line: self.chat.note(line, "warning"))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Under NO_COLOR an ANSI theme has the terminal's own two colours; Textual's greys would be black on black."""
        if self.no_color and self.native_ansi_color:
            return [NoColor()]
        return super().get_line_filters()

    # Leaving

    async def action_quit(self) -> None:
        """Leave; when a training runs, ask whether it goes on. Ctrl+Q on the question itself lets it go on."""
        if not self.training.running or _asks_to_leave(self.screen):
            self.leave()
            return
        state = self.training.state
        percent = f", {state.fraction:.0%} done" if state and state.fraction is not None else ""
        question = Confirm(
            "A retraining is under way",
            f"It is {state.state if state else 'running'}{percent}. It can go on without the app.",
            [
                ("go-on", "Leave, and let it go on"),
                ("pause", "Leave, and stop it with a checkpoint (/retrain goes on from there)"),
                ("stay", "Stay"),
            ],
        )
        question.asks_to_leave = True
        self.push_screen(question, self._leave_answered)

    def _leave_answered(self, answer: str | None) -> None:
        if answer == "pause":
            self.training.cancel()
        if answer in ("pause", "go-on"):
            self.leave()

    def leave(self) -> None:
        """Stop the reply, let a held training go on, and end."""
        self.chat.turns.stop()
        self.training.release()
        self.exit(0)

    def action_help_quit(self) -> None:
        """Ctrl+C: stops the reply; twice within two seconds leaves."""
        now = time.monotonic()
        if now - self._ctrl_c_at < SECOND_CTRL_C_S:
            self.call_next(self.action_quit)
            return
        self._ctrl_c_at = now
        self.chat.turns.stop()
        self.notify("Ctrl+C once more leaves.", markup=False, timeout=SECOND_CTRL_C_S)


def _asks_to_leave(screen: Screen[Any]) -> bool:
    return isinstance(screen, Confirm) and screen.asks_to_leave


def run(home: Home, config: "Config") -> int:
    """Run the app until the person leaves; gives the exit code. The terminal is restored on every way out."""
    app = MoltingApp(home, config)
    try:
        result = app.run()
    finally:
        if app.agent is not None:
            try:
                app.agent.close()
            except Exception as error:  # the terminal is ours no more; a failing goodbye is worth one line
                print(one_line(error))
    return result if isinstance(result, int) else app.return_code or 0
