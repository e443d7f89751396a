"""Fetches a base model from the hub: chooses a GGUF of a repository, downloads it (resumable), checks its sha256."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.errors import ModelError
from memory.files import sha256_file
from memory.home import Home
from molting_agent.runtime.models import ModelFile, register

# Small machines first: the quantisations that lose little and run everywhere, in the order they are looked for.
PREFERRED = ("q8_0", "q4_k_m", "q5_k_m", "q6_k", "q4_0", "f16", "bf16")
SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One GGUF of a repository; ``sha256`` is what the hub says of it."""

    repo: str
    path: str
    bytes: int
    sha256: str
    revision: str


def pull(home: Home, name: str, *, show_progress: bool = True) -> ModelFile:
    """Fetch ``owner/repo`` or ``owner/repo:FILE`` or ``owner/repo:QUANT`` into the home and remember it.

    An interrupted download goes on where it ended. $HF_ENDPOINT and $HF_TOKEN count. Errors: ModelError.
    """
    repo, _, wanted = name.partition(":")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise ModelError(f"{name}: not a name of the hub; give owner/repo or owner/repo:Q8_0")
    chosen = choose(_list(repo), wanted)
    folder = home.models_dir
    target = folder / Path(chosen.path).name
    if target.exists() and sha256_file(target) != chosen.sha256:
        target = target.with_name(f"{target.stem}.{chosen.sha256[:8]}.gguf")
    if not target.exists():
        if shutil.disk_usage(folder).free < chosen.bytes * 1.05:
            raise ModelError(f"{folder}: not enough space for {chosen.bytes / 1e6:,.0f} MB; free some and pull again")
        _download(chosen, folder / ".pull", show_progress).replace(target)
    return register(home, target, name=target.stem, source=f"hf:{repo}/{chosen.path}@{chosen.revision}")


def choose(files: list[HubFile], wanted: str = "") -> HubFile:
    """The file of that name or quantisation, else the most suitable one. Errors: ModelError with what there is."""
    whole = [file for file in files if not SPLIT.search(file.path) and not Path(file.path).name.startswith("mmproj")]
    names = ", ".join(sorted(file.path for file in whole)) or "no GGUF in one piece"
    if wanted:
        exact = [file for file in whole if wanted in (file.path, Path(file.path).name)]
        fitting = exact or [file for file in whole if has_quantisation(file.path, wanted)]
        if len(fitting) != 1:
            raise ModelError(f"{wanted}: {len(fitting)} files fit; there are: {names}")
        return fitting[0]
    for quantisation in PREFERRED:
        for file in whole:
            if has_quantisation(file.path, quantisation):
                return file
    if len(whole) == 1:
        return whole[0]
    raise ModelError(f"choose one with owner/repo:FILE; there are: {names}")


def has_quantisation(path: str, quantisation: str) -> bool:
    """``Q4_K`` is not ``Q4_K_M``: the whole word counts, upper or lower case."""
    return bool(re.search(rf"(?<![a-z0-9_]){re.escape(quantisation.lower())}(?![a-z0-9_])", Path(path).stem.lower()))


def _list(repo: str) -> list[HubFile]:
    from huggingface_hub import HfApi

    info = _asked(repo, lambda: HfApi().model_info(repo, files_metadata=True))
    return [
        HubFile(repo, sibling.rfilename, sibling.size or 0, sibling.lfs.sha256, info.sha or "main")
        for sibling in info.siblings or ()
        if sibling.rfilename.endswith(".gguf") and sibling.lfs
    ]


def _download(file: HubFile, folder: Path, show_progress: bool) -> Path:
    """The whole file, checked; what an interrupted pull left is gone on with (hf_hub_download would begin anew)."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers, disable_progress_bars, enable_progress_bars, logging

    logging.set_verbosity_error()  # it warns of every retry; how the download ended is one line of ours
    (enable_progress_bars if show_progress else disable_progress_bars)()
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{file.sha256}.part"
    url = hf_hub_url(file.repo, file.path, revision=file.revision)

    def fetch() -> None:
        with part.open("ab") as target:
            http_get(url, target, resume_size=target.tell(), headers=build_hf_headers(), expected_size=file.bytes)

    _asked(file.repo, fetch)
    if (found := sha256_file(part)) != file.sha256:
        part.unlink()
        raise ModelError(f"{file.path}: sha256 {found[:12]}… is not the hub's {file.sha256[:12]}…; pull it again")
    return part


def _asked(repo: str, request: Any) -> Any:
    """Run one request to the hub; its many errors become one line."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return request()
    except GatedRepoError:
        raise ModelError(f"{repo}: its owner asks for an agreement; accept it on the hub and set $HF_TOKEN") from None
    except RepositoryNotFoundError:
        raise ModelError(f"{repo}: the hub has no such repository (or it is private: set $HF_TOKEN)") from None
    except Exception as error:  # of the hub's library, its HTTP library (which changed with its version) or the system
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ModelError(f"{repo}: the hub could not be asked ({reason}); pull again to go on where it ended") from None
