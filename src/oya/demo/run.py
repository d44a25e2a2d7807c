"""`oya demo`: the whole way, once, on a repository of its own.

Real git, a real store, real agent processes, real test runs; only the agents' words and
edits are recorded. Nothing is paid for, nothing outside a temporary folder is touched.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oya.demo.story import SAMPLE, scenario
from oya.errors import UsageError

STOPPED = 5

CONFIG = """\
# The demo's configuration: everything that is not here is a default.
[defaults]
target_beads = 25
backend = "recorded"

[backends.recorded]
kind = "scripted"
scenario = "{scenario}"

[sandbox]
kind = "none"

[quality-gates]
quick = ["{python} -m compileall -q src"]
ci = ["PYTHONPATH=src {python} -m larder show recipes/onion-soup.txt"]

[quality-gates.tests]
command = "{python} -m pytest -q -p no:cacheprovider {{tests}} --junitxml={{report}}"
report = "junit"

# Less than the default, but enough to see it happen: most of the demo's time is gates.
[contract]
repeat = 2

[review]
variants = 1

[execution]
stall_timeout = "2s"
"""


def main(keep: Path | None = None, format: str = "text") -> int:
    """Land 25 beads of the sample; the exit code of `oya swarm`. `keep`: leave it all there."""
    with _folder(keep) as folder:
        repository = prepare(folder)
        began = time.monotonic()
        code = _swarm(repository, format)
        if code == STOPPED:
            go_on = f"cd {repository} && oya swarm" if keep else "oya demo (it starts anew)"
            print(f"The demo was stopped. Go on: {go_on}", file=sys.stderr)
        elif format == "text":
            _tell(repository, time.monotonic() - began, kept=keep is not None)
        return code


def prepare(folder: Path) -> Path:
    """A fresh git repository with the sample, its backlog and the demo's configuration."""
    repository = folder / "larder"
    if repository.exists():
        raise UsageError(
            f"{repository} is there already.",
            safe="Nothing was changed.",
            hint="oya demo --keep DIR wants a DIR without it; or go on there: oya swarm",
        )
    shutil.copytree(SAMPLE, repository, ignore=shutil.ignore_patterns("__pycache__"))
    recorded = folder / "scenario.json"
    recorded.write_text(json.dumps(scenario()), encoding="utf-8")
    config = repository / ".oya" / "swarm.toml"
    config.parent.mkdir()
    config.write_text(CONFIG.format(scenario=recorded, python=_python()), encoding="utf-8")
    for args in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "Demo"),
        ("config", "user.email", "demo@localhost"),
        ("add", "-A"),
        ("commit", "-q", "-m", "The larder: plain-text recipes, and a backlog"),
    ):
        subprocess.run(("git", "-C", str(repository), *args), check=True, env=_plain())
    return repository


def _python() -> str:
    """Oya's own interpreter, which has pytest whatever else is on PATH; for a TOML string."""
    return shlex.quote(sys.executable).replace("\\", "\\\\").replace('"', '\\"')


def _plain() -> dict[str, str]:
    """An environment in which git is not told of another repository, and `python` is oya's own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    path = env.get("PATH", os.defpath)
    return env | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}"}


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{keep} cannot be made: {error.strerror}.") from None
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="oya-demo-") as name:
        folder = Path(name).resolve()
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        yield folder


def _swarm(repository: Path, format: str) -> int:
    args = [sys.executable, "-m", "oya.cli.main", "swarm", "--format", format]
    # Ctrl+C reaches the command too, which answers it. A handler, since SIG_IGN is inherited.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(args, cwd=repository, env=_plain(), check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(repository: Path, seconds: float, *, kept: bool) -> None:
    from oya.demo.ending import Ending

    ending = Ending.read(repository, seconds)
    for line in ending.story(kept=kept):
        print(line)
    print(ending.last_line())
