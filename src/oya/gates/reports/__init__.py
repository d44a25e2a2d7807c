"""Reports of tests: one module for each kind, from what a runner writes to a `model.Report`.

`kind.Kind` is what a module gives, `kinds.KINDS` the table of them all.
"""
