"""The two settings of the home's config.toml that the memory itself reads: which embedder, and where Chroma is."""

import tomllib
from dataclasses import dataclass
from urllib.parse import urlsplit

from memory.embedder import NAME
from memory.errors import HomeError
from memory.home import Home


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """``embedder``: a name or folder of a sentence-transformers model. ``chroma``: address of a server, "" for none."""

    embedder: str = NAME
    chroma: str = ""


def read_settings(home: Home) -> IndexSettings:
    """``[memory] embedder`` and ``chroma``; the defaults when there is no file. Errors: HomeError naming the key."""
    path = home.config_file
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("memory", {})
    except FileNotFoundError:
        return IndexSettings()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HomeError(f"{path} cannot be read ({error}); mend it") from None
    values = {key: table.get(key, "") if isinstance(table, dict) else "" for key in ("embedder", "chroma")}
    for key, value in values.items():
        if not isinstance(value, str):
            raise HomeError(f"{path}: memory.{key}: {value!r} is not allowed; must be text")
    chroma = values["chroma"].strip().rstrip("/")
    if chroma and not is_address(chroma):
        raise HomeError(f'{path}: memory.chroma: {chroma!r} is not allowed; must be like "http://host:8000"')
    return IndexSettings(values["embedder"].strip() or NAME, chroma)


def is_address(text: str) -> bool:
    """Whether ``text`` names a server: http or https, a host, and a port where there is one."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
