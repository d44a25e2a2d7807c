"""`oya state`: the whole state as a file, out and in."""

from __future__ import annotations

from typing import Annotated

import typer

state_app = typer.Typer(
    name="state",
    help="""Write the state to a file, or read it back.

    Everything that oya has of this repository beside git: beads, events, evidence, swarms.
    """,
    epilog="Example: oya state export backup.jsonl",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@state_app.command("export", epilog="Example: oya state export - | gzip > state.jsonl.gz")
def state_export(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="`-`: stdout. Default: a new backup.")
    ] = None,
) -> None:
    """Write all of it as JSON lines.

    Without FILE it becomes a backup beside the state, which is named where that is damaged.
    """
    from oya.cli.asking import here
    from oya.cli.state import write

    write(here(), file)


@state_app.command("import", epilog="Example: oya state import backup.jsonl")
def state_import(
    file: Annotated[str, typer.Argument(metavar="FILE", help="`-`: stdin.")],
) -> None:
    """Make such a file the state, where there is none.

    It is checked as a whole first. A state that is there is never overwritten.
    """
    from oya.cli.asking import here
    from oya.cli.state import read

    read(here(), file)
