"""What `oya init` writes for npm makes a slot ready that has kept what an earlier tree needed."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from oya.cli.guesses import look


@dataclass(frozen=True)
class Slot:
    """A project with one dependency, of which there are two versions; nothing is downloaded."""

    folder: Path
    env: dict[str, str]

    def run(self, line: str) -> bool:
        return subprocess.run(line, shell=True, cwd=self.folder, env=self.env).returncode == 0

    def asks_for(self, version: int) -> None:
        package = {"name": "shop", "dependencies": {"dep": f"file:dep-{version}.tgz"}}
        (self.folder / "package.json").write_text(json.dumps(package))

    def locks(self, version: int) -> None:
        self.asks_for(version)
        (self.folder / "package-lock.json").unlink(missing_ok=True)
        assert self.run("npm install --package-lock-only")

    def prepare(self) -> bool:
        """The lines as oya runs them: up to the first that fails."""
        (lines,) = (g.value for g in look(self.folder) if g.key == "workspace.prepare")
        return all(self.run(line) for line in lines)

    @property
    def installed(self) -> str:
        text = (self.folder / "node_modules/dep/package.json").read_text()
        return str(json.loads(text)["version"])


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path / "slot"
    folder.mkdir()
    for version in (1, 2):
        text = json.dumps({"name": "dep", "version": f"{version}.0.0"}).encode()
        with tarfile.open(folder / f"dep-{version}.tgz", "w:gz") as archive:
            about = tarfile.TarInfo("package/package.json")
            about.size = len(text)
            archive.addfile(about, io.BytesIO(text))
    quiet = {"offline": "true", "update_notifier": "false", "loglevel": "error"}
    own = {"HOME": str(tmp_path), **{f"npm_config_{key}": value for key, value in quiet.items()}}
    made = Slot(folder, {"PATH": os.environ["PATH"], **own})
    made.locks(1)
    assert made.prepare()
    return made


def test_what_a_slot_has_kept_is_not_installed_again(slot: Slot) -> None:
    (slot.folder / "node_modules/dep/kept").touch()
    assert slot.prepare()
    assert slot.installed == "1.0.0"
    assert (slot.folder / "node_modules/dep/kept").exists()


def test_what_the_lock_says_is_there_and_nothing_else(slot: Slot) -> None:
    (slot.folder / "node_modules/stray").mkdir()
    (slot.folder / "node_modules/stray/package.json").write_text('{"name": "stray"}')
    slot.locks(2)
    assert slot.prepare()
    assert slot.installed == "2.0.0"
    assert not (slot.folder / "node_modules/stray").exists()


def test_a_lock_that_does_not_fit_fails_and_stays_as_it_is(slot: Slot) -> None:
    before = (slot.folder / "package-lock.json").read_bytes()
    slot.asks_for(2)
    assert not slot.prepare()
    assert (slot.folder / "package-lock.json").read_bytes() == before
