"""`oya swarm status`, without the parser of the command line."""

from __future__ import annotations

from oya.cli import lines
from oya.cli.asking import STATUS, ask, here
from oya.cli.output import Format, show


def print_status(form: Format) -> int:
    """How the swarm of this repository fares."""
    show(ask(here(), STATUS), form, lines.status)
    return 0
