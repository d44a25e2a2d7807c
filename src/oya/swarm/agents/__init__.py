"""The four roles. Each is one file: what it does with a bead that it was given."""
