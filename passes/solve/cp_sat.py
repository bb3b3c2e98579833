"""CP-SAT over true-or-false and whole variables, written in its own model format.

`ortools.sat.python.cp_model`, the usual way in, imports pandas, which takes longer than most placements take to solve. This fills the
same message (`cp_model.proto`, documented with the solver) and hands it to the same entry point.

A literal is a variable's number, or ~number for its negation; TRUE and FALSE are literals too. Whole variables are numbers as well, and
stand in sums only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TRUE, FALSE = 0, ~0


class Sum:
    """A linear expression over literals with whole coefficients."""

    __slots__ = ("constant", "terms")

    def __init__(self, literals: Iterable[int] = (), coefficient: int = 1) -> None:
        self.terms: dict[int, int] = {}
        self.constant = 0
        for literal in literals:
            self.add(literal, coefficient)

    def add(self, literal: int, coefficient: int) -> None:
        variable = literal if literal >= 0 else ~literal
        if literal < 0:
            self.constant += coefficient
            coefficient = -coefficient
        if variable == TRUE:
            self.constant += coefficient
        else:
            self.terms[variable] = self.terms.get(variable, 0) + coefficient

    def plus(self, other: Sum, factor: int = 1) -> Sum:
        """Adds a multiple of another expression to this one; returns this one."""
        self.constant += factor * other.constant
        for variable, coefficient in other.terms.items():
            self.terms[variable] = self.terms.get(variable, 0) + factor * coefficient
        return self


@dataclass(frozen=True, slots=True)
class Answer:
    values: tuple[int, ...]
    """By variable; 0 or 1 for a literal's."""
    bound: float
    """No solution has a smaller objective."""
    proven: bool
    """Whether `values` is optimal."""

    def value(self, expression: Sum) -> int:
        return expression.constant + sum(c * self.values[variable] for variable, c in expression.terms.items())


class Model:
    """Constraints and an objective to minimise. `infeasible`: whether `solve` has proved that there is no solution; `spent`: seconds of the
    solver's deterministic clock."""

    def __init__(self) -> None:
        from ortools.sat.python import cp_model_helper

        self._proto = cp_model_helper.CpModelProto()
        self._ends: list[tuple[int, int]] = []
        self.infeasible, self.spent = False, 0.0
        self._variable(1, 1)

    def boolean(self) -> int:
        return self._variable(0, 1)

    def whole(self, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        return self._variable(least, most)

    def at_least_one(self, *literals: int) -> None:
        self._proto.constraints.add().bool_or.literals.extend(literals)

    def implies(self, first: int, second: int) -> None:
        self.at_least_one(~first, second)

    def between(self, least: int, expression: Sum, most: int, when: Iterable[int] = ()) -> None:
        """Only asked for where all literals of `when` are true."""
        constraint = self._proto.constraints.add()
        constraint.enforcement_literal.extend(when)
        linear = constraint.linear
        linear.vars.extend(expression.terms.keys())
        linear.coeffs.extend(expression.terms.values())
        linear.domain.extend((least - expression.constant, most - expression.constant))

    def at_least(self, expression: Sum, least: int, when: Iterable[int] = ()) -> None:
        most = expression.constant + sum(max(c * end for end in self._ends[v]) for v, c in expression.terms.items())
        self.between(least, expression, max(least, most), when)

    def at_most(self, expression: Sum, most: int, when: Iterable[int] = ()) -> None:
        least = expression.constant + sum(min(c * end for end in self._ends[v]) for v, c in expression.terms.items())
        self.between(min(least, most), expression, most, when)

    def minimise(self, expression: Sum) -> None:
        objective = self._proto.objective
        objective.vars.extend(expression.terms.keys())
        objective.coeffs.extend(expression.terms.values())
        objective.offset, objective.scaling_factor = expression.constant, 1

    def hint(self, values: Mapping[int, int]) -> None:
        """A solution that is known, to start from; by variable."""
        self._proto.solution_hint.vars.extend(values.keys())
        self._proto.solution_hint.values.extend(int(value) for value in values.values())

    def solve(self, seconds: float) -> Answer | None:
        """The best solution within `seconds` of the solver's deterministic clock, the same in every run; None if there is none."""
        from ortools.sat.python import cp_model_helper

        parameters = cp_model_helper.SatParameters()
        parameters.num_workers, parameters.random_seed, parameters.linearization_level = 1, 1, 2
        parameters.cp_model_probing_level = 0  # bounds have fixed what probing would find; it costs as much as the search
        parameters.max_deterministic_time = seconds
        parameters.catch_sigint_signal = False  # or SIGINT is left at its default, and Ctrl-C kills this process from then on
        solver: Any = cp_model_helper.SolveWrapper()
        solver.set_parameters(parameters)
        response = solver.solve(self._proto)
        status = cp_model_helper.CpSolverStatus
        self.infeasible, self.spent = response.status == status.INFEASIBLE, response.deterministic_time
        if response.status not in (status.OPTIMAL, status.FEASIBLE):
            return None
        return Answer(tuple(response.solution), response.best_objective_bound, response.status == status.OPTIMAL)

    def _variable(self, least: int, most: int) -> int:
        self._proto.variables.add().domain.extend((least, most))
        self._ends.append((least, most))
        return len(self._proto.variables) - 1
