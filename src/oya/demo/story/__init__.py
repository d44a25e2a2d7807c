"""What the recorded agents of `oya demo` do: one readable file for each bead.

    from oya.demo.story import SAMPLE, scenario
    shutil.copytree(SAMPLE, folder)
    (folder / "scenario.json").write_text(json.dumps(scenario()))

The beads themselves are those of the sample's `.beads/issues.jsonl`. A file
`sessions/<bead>.toml` tells what happens to one of them:

    [contract]         the tests and the plan of the test writer who gets it right
    [implementation]   the files, edits and commands of the implementer who does
    [review]           what the reviewer tries
    [[session]]        a session step by step; for a role that has one of the above
                       these come first, attempt after attempt. `trouble` says what
                       goes wrong in it. `{ play = "contract" }` stands for the steps
                       of that table.

`python -m oya.demo.story --prove` plays everything against real git and pytest.
"""

from __future__ import annotations

from oya.demo.story.load import SAMPLE, Trouble, backlog, scenario, troubles

__all__ = ["SAMPLE", "Trouble", "backlog", "scenario", "troubles"]
