"""The face: what people type, and what they see.

Commands stand in `main`; everything heavy is imported inside them, since each of them pays
for every import. `asking` gets answers from the daemon or from the store; `attached` stays
with a running swarm; `lines` and `screen` are what people see.
"""
