"""The line under a reply."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from molting_agent.ui import foot_text


class Foot(Widget):
    """Memories on the left, state or keys on the right; drawn anew whenever one of them changes."""

    left: reactive[tuple[object, ...]] = reactive(())
    """The memories shown (RecalledMemory values)."""
    waiting = reactive("")
    """What he is doing before and while he speaks; takes the place of the memories."""
    right = reactive("")
    expanded = reactive(False)
    keys = reactive(False)

    def render(self) -> Content:
        width = self.size.width
        if self.waiting:
            return Content(self.waiting)
        left = foot_text.memories_text(self.left, expanded=self.expanded, width=width - 10)  # type: ignore[arg-type]
        return foot_text.foot(left, self.right, width=width, keys=self.keys)
