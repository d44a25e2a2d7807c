"""What must pass: gates run on exact trees, reports read, verdicts given by code.

`gates.Gates` has each gate run once on each tree by a `port.Runner` (`runner.ProcessRunner` is the
real one); everything else here is pure and judges what that brought back:
`red` a contract, `green` an implementation, `frozen` edits, `checks` commands.

    runner = ProcessRunner(config, processes=processes, checkout=slots, logs=folder, clock=clock)
    gates = Gates(config, runner=runner, trees=trees, book=book)
    base, contract = await gates.tests(base_commit), await gates.tests(commit)
    verdict = judge_contract(planned, base.report, contract.report, test_files, names)
"""

from oya.gates.config import GatesConfig
from oya.gates.gates import Gates
from oya.gates.model import Case, Evidence, Outcome, Report
from oya.gates.runner import ProcessRunner

__all__ = ["Case", "Evidence", "Gates", "GatesConfig", "Outcome", "ProcessRunner", "Report"]
