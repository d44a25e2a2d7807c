"""The rules: what may happen to a bead and to a swarm. Pure; no I/O, no clock.

`table.transition` is the one way to change a bead, `failures.RULES` the one
place that says what a failure means, and every change is one `EventRecord`.
"""
