"""The date and the time here."""

from datetime import datetime

from molting_agent.tools.tool import Place, Tool


def date_and_time(_place: Place) -> str:
    """Tell the date and the time."""
    now = datetime.now().astimezone()
    return f"It is {now:%A}, {now.day} {now:%B %Y}, {now:%H:%M} ({now:%Z})."


CLOCK = Tool("date_and_time", "look", date_and_time, action=lambda _place, _arguments: "look at the clock")
