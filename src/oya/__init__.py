"""oya lands the backlog of a git repository on its main branch, unattended."""

__version__ = "0.1.0"
