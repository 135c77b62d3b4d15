"""CP-SAT as all models use it: one worker, a fixed seed and a limit in deterministic time, so that the same model gets
the same answer on every machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ortools.sat.python import cp_model

from offramp.planner.placement.interval_problem import Limits

SOLVED = (cp_model.OPTIMAL, cp_model.FEASIBLE)


def solve_model(
    model: cp_model.CpModel, limits: Limits, linearization: int = 1
) -> tuple[cp_model.CpSolver, cp_model.CpSolverStatus]:
    """The solver with what it found, and its status. It runs in a thread: OR-Tools would not let Python see a signal
    before it is done, or kill the process."""
    solver = cp_model.CpSolver()
    solver.parameters.catch_sigint_signal = False
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = limits.seed
    solver.parameters.max_deterministic_time = limits.effort
    solver.parameters.linearization_level = linearization
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(solver.solve, model)
        try:
            return solver, answer.result()
        except BaseException:
            solver.stop_search()
            raise
