"""The themes: our dark and light one; Textual brings the ANSI ones, for terminals with their own colours, and more."""

from textual.theme import Theme

DEFAULT_THEME = "molting-dark"

MOLTING_DARK = Theme(
    name="molting-dark",
    primary="#e8886b",
    secondary="#7fb8ad",
    accent="#7fb8ad",
    success="#93c47d",
    warning="#e5b567",
    error="#e06c75",
    foreground="#dcd7cf",
    background="#14171c",
    surface="#1b1f26",
    panel="#252a33",
    dark=True,
    variables={
        "border": "#e8886b",
        "border-blurred": "#2f3641",
        "block-cursor-background": "#e8886b",
        "block-cursor-foreground": "#14171c",
        "block-cursor-text-style": "none",
        "input-selection-background": "#7fb8ad 30%",
        "scrollbar": "#2f3641",
        "scrollbar-hover": "#3d4654",
        "scrollbar-active": "#e8886b",
        "scrollbar-background": "#14171c",
        "scrollbar-background-hover": "#14171c",
        "scrollbar-background-active": "#14171c",
        "scrollbar-corner-color": "#14171c",
        "footer-key-foreground": "#e8886b",
    },
)

MOLTING_LIGHT = Theme(
    name="molting-light",
    primary="#b5502f",
    secondary="#2f766a",
    accent="#2f766a",
    success="#3f7d32",
    warning="#9a6a00",
    error="#b3313e",
    foreground="#2b2a28",
    background="#faf7f2",
    surface="#f1ece4",
    panel="#e6dfd4",
    dark=False,
    variables={
        "border": "#b5502f",
        "border-blurred": "#d5ccbe",
        "block-cursor-background": "#b5502f",
        "block-cursor-foreground": "#faf7f2",
        "block-cursor-text-style": "none",
        "input-selection-background": "#2f766a 25%",
        "scrollbar": "#d5ccbe",
        "scrollbar-hover": "#c2b7a6",
        "scrollbar-active": "#b5502f",
        "scrollbar-background": "#faf7f2",
        "scrollbar-background-hover": "#faf7f2",
        "scrollbar-background-active": "#faf7f2",
        "scrollbar-corner-color": "#faf7f2",
        "footer-key-foreground": "#b5502f",
    },
)

OWN_THEMES = (MOLTING_DARK, MOLTING_LIGHT)
SHORT_NAMES = {"dark": "molting-dark", "light": "molting-light", "ansi": "ansi-dark"}


def theme_name(wanted: str, available: list[str]) -> str:
    """The full name of a theme for ``dark``, ``light``, ``ansi`` or a full name; "" when there is none."""
    name = SHORT_NAMES.get(wanted, wanted)
    return name if name in available else ""
