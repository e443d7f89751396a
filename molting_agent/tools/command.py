"""Running a command, walled in: by bubblewrap where it works, else by Landlock and seccomp, else not at all."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from molting_agent.tools import landlock, seccomp
from molting_agent.tools.cage import Order, Report
from molting_agent.tools.paths import refusal
from molting_agent.tools.tool import Place, Tool, ToolError

OUTPUT_BYTES = 256_000
PROCESSES = 64
START_S = 10.0
"""What the cage itself may take over the command's own time before it is given up."""
SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store")
SYSTEM_FILES = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "nsswitch.conf", "mime.types")
DEVICES = ("null", "zero", "full", "urandom", "random")
PATH = "/usr/local/bin:/usr/bin:/bin"

Command = Annotated[str, Field(description="one shell command", min_length=1, max_length=2000)]


def run_command(place: Place, command: Command) -> str:
    """Run a shell command: no network, only the allowed folders can be written."""
    wall = which_wall()
    if not wall:
        raise ToolError(f"no command is run: {why_off()}")
    with tempfile.TemporaryDirectory(prefix="molting-command-") as scratch:
        report, said = run_walled(place, wall, ["/bin/sh", "-c", command], Path(scratch))
    if report.error:
        raise ToolError(f"the command could not be confined and was not run ({report.error})")
    text = said.decode("utf-8", "replace").rstrip()
    if report.stopped:
        raise ToolError(f"{text}\n[stopped: {report.stopped}]".lstrip())
    if report.code:
        raise ToolError(f"{text}\n[exit code {report.code}]".lstrip())
    return text or "[done; it said nothing]"


def run_walled(place: Place, wall: str, command: list[str], scratch: Path) -> tuple[Report, bytes]:
    """Run ``command`` behind a wall, and give how it ended and what it said. ``scratch`` is its home and /tmp."""
    order = make_order(place, wall, command, scratch.resolve())
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "molting_agent.tools.cage"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",  # the modules of Python are not to be found in a folder that anybody can write
        start_new_session=True,
        env={name: os.environ[name] for name in ("PYTHONPATH", "LANG", "VIRTUAL_ENV") if name in os.environ},
    ) as cage:
        request: bytes | None = json.dumps(asdict(order)).encode()
        waited_s, step_s = 0.0, 0.1
        while True:
            try:
                said, told = cage.communicate(request, timeout=step_s)
                break
            except subprocess.TimeoutExpired:
                request = None
                waited_s += step_s
                if place.is_stopped():
                    cage.terminate()
                if waited_s > order.timeout_s + START_S:
                    cage.kill()
    try:
        return Report(**json.loads(told)), said
    except (ValueError, TypeError):
        last = told.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"it ended with {cage.returncode}"]
        return Report(error=last[0]), said


def make_order(place: Place, wall: str, command: list[str], scratch: Path) -> Order:
    """The order for the cage (pure but for looking which folders there are)."""
    folders = writable_folders(place)
    cwd = place.cwd if any(place.cwd == folder or folder in place.cwd.parents for folder in folders) else scratch
    environment = {"PATH": PATH, "HOME": str(scratch), "TMPDIR": str(scratch), "TERM": "dumb", "LANG": "C.UTF-8"}
    if wall == "bubblewrap":
        environment |= {"HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108 - of the sandbox, which has its own
        inside = "/tmp" if cwd == scratch else str(cwd)  # noqa: S108 - as above
        command = [*_bubblewrap(folders, inside, environment), *command]
    return Order(
        wall=wall,
        command=command,
        cwd=str(cwd),
        environment=environment,
        readable=[*SYSTEM_FOLDERS, *(f"/etc/{name}" for name in SYSTEM_FILES)],
        writable=[*map(str, folders), str(scratch), *(f"/dev/{name}" for name in DEVICES)],
        timeout_s=place.timeout_s,
        memory_mib=place.memory_mib,
        processes=PROCESSES,
        output_bytes=OUTPUT_BYTES,
    )


def writable_folders(place: Place) -> list[Path]:
    """The allowed folders that a command may write.

    None that is, holds or lies in his home, holds the person's, lies where secrets are kept, or belongs to the system.
    """
    agent, person = place.home.root.resolve(), Path.home().resolve()

    def holds(outer: Path, inner: Path) -> bool:
        return outer == inner or outer in inner.parents

    return [
        folder
        for folder in place.folders
        if folder.is_dir()
        and not holds(folder, agent)
        and not holds(agent, folder)
        and not holds(folder, person)
        and not refusal(folder)
        and not any(holds(Path(kept), folder) for kept in (*SYSTEM_FOLDERS, "/etc", "/boot"))
    ]


def _bubblewrap(folders: list[Path], cwd: str, environment: dict[str, str]) -> list[str]:
    words = [
        shutil.which("bwrap") or "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        *("--cap-drop", "ALL"),
        "--clearenv",
    ]
    for name, value in environment.items():
        words += ["--setenv", name, value]
    for folder in SYSTEM_FOLDERS:
        path = Path(folder)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), folder]
        elif path.is_dir():
            words += ["--ro-bind", folder, folder]
    for name in SYSTEM_FILES:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 - of the sandbox
    for place in sorted(folders):  # an outer folder before the ones in it
        words += ["--bind", str(place), str(place)]
        # What git runs later, outside the wall, is not for a command to write.
        for part in ("hooks", "config"):
            words += ["--ro-bind-try", f"{place}/.git/{part}", f"{place}/.git/{part}"]
    return [*words, "--chdir", cwd, "--"]


@lru_cache(maxsize=1)
def which_wall() -> str:
    """``bubblewrap``, ``landlock`` or "": tried once, by running something harmless behind it."""
    return next((wall for wall in ("bubblewrap", "landlock") if wall_works(wall)), "")


def wall_works(wall: str) -> bool:
    """Whether a command runs behind this wall here."""
    if not seccomp.supported():
        return False
    if wall == "bubblewrap" and shutil.which("bwrap") is None:
        return False
    if wall == "landlock" and landlock.abi() < landlock.NEEDED_ABI:
        return False
    with tempfile.TemporaryDirectory(prefix="molting-command-") as scratch:
        report, said = run_walled(_nowhere(Path(scratch)), wall, ["/bin/sh", "-c", "echo walled"], Path(scratch))
    return not report.error and report.code == 0 and said.strip() == b"walled"


def why_off() -> str:
    """Why no command can be run here, and what would help."""
    if sys.platform != "linux":
        return "commands are confined on Linux only"
    return "neither bubblewrap nor Landlock (Linux 6.2) works here; install bubblewrap"


def _nowhere(scratch: Path) -> Place:
    from memory.home import Home

    def none(*_arguments: object) -> None:
        return None

    return Place(Home(scratch / "none"), scratch, (), none, none, timeout_s=5.0)  # type: ignore[arg-type]


RUN = Tool("run_command", "act", run_command, lambda _place, arguments: f"run: {arguments['command']}")
