"""What must pass: gates run on exact trees, reports read, verdicts given by code.

`runner.Gates` runs; everything else here is pure and judges what it brought back:
`red` a contract, `green` an implementation, `frozen` edits, `checks` commands.

    gates = Gates(config, processes=processes, checkout=slots, trees=trees, book=book,
                  logs=folder, clock=clock, on_run=record)
    base, contract = await gates.tests(base_commit), await gates.tests(commit)
    verdict = judge_contract(planned, base.report, contract.report, test_files, names)
"""

from oya.gates.config import GatesConfig
from oya.gates.model import Case, Evidence, Outcome, Report
from oya.gates.runner import Gates

__all__ = ["Case", "Evidence", "Gates", "GatesConfig", "Outcome", "Report"]
