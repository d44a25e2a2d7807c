"""python -m oya.demo.story [--prove]: the scenario as JSON, or the proof that it is true."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from oya.demo.story.load import scenario
from oya.demo.story.play import Workspace
from oya.demo.story.plot import Story
from oya.demo.story.prove import holds, land, prove

ORDERS = 10


def main(arguments: list[str]) -> int:
    """0, or `Untrue` with what is wrong."""
    if arguments != ["--prove"]:
        json.dump(scenario(), sys.stdout, ensure_ascii=False, indent=1)
        return 0
    story = Story()
    with tempfile.TemporaryDirectory(prefix="oya-story-") as folder:
        for bead in story.needs:
            trouble = prove(story, Workspace(Path(folder) / bead, story.scenario), bead)
            print(f"{bead}  red before, green after  {trouble}".rstrip())
        for seed in range(ORDERS):
            workspace = Workspace(Path(folder) / f"order-{seed}", story.scenario)
            tips, reworked = land(story, workspace, story.order(seed))
            workspace.at(tips[story.order(seed)[-1]])
            green, red = workspace.tests()
            holds(not red, f"order {seed}: red at the end: {red}")
            print(f"order {seed}: {len(story.landing)} landed, {len(green)} tests green, ", end="")
            print(f"conflicts: {' '.join(reworked)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
