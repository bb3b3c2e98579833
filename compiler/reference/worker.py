"""`python -m autoglmc.compiler.reference.worker`: the child process that evaluates one model, because a runtime may crash, hang or take
all memory. It answers the requests of oracle.py on its standard input and output until they are closed."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..frames import Closed, receive, send
from ..parent import end_with_parent
from .messages import Answer, Open, Opened, Question

SESSIONS = 4
"""Of onnxruntime, each of which maps the weights: as they are and optimised, for the outputs and for tensors between segments."""
STEPPED = 3
"""Draws of other steps, for models that quantise activations."""

if TYPE_CHECKING:
    from .own import Own
    from .rounding import Rounding


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    end_with_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    try:
        _serve(answers)
    except Closed:
        return 0
    return 0


def _end_with_parent() -> None:
    """Ends this process when nobody can ask any more, even in the middle of an evaluation."""
    poll = select.poll()
    poll.register(0, 0)  # a hang-up is always told
    poll.poll()
    os._exit(0)


def _serve(answers: int) -> None:
    """Models one after the other: each begins with an Open, and ends with the next one."""
    untouched: Untouched | None = None
    while True:
        request = receive(0)
        if isinstance(request, Open):
            untouched, opened = None, None  # the last model's memory goes first
            untouched, opened = _opened(request)
            send(answers, opened)
        else:
            assert untouched is not None
            send(answers, untouched.answer(request))


def _opened(request: Open) -> tuple[Untouched | None, Opened]:
    try:
        _limit(request.memory)
        model, mapped, folder = _read(request)
        _limit(request.memory, SESSIONS * sum(array.nbytes for array in mapped.values()))
        untouched = Untouched(model, mapped, folder)
    except MemoryError:
        return None, Opened((), (), "", "it needs more memory than the verification may take")
    except Exception as problem:  # of onnx or onnxruntime: they share no base class
        return None, Opened((), (), "", str(problem)[:1000] or type(problem).__name__)
    return untouched, Opened(untouched.outputs, untouched.made, untouched.refused, "", untouched.size)


def _limit(memory: int, mapped: int = 0) -> None:
    """memory: private bytes that this process may take. mapped: bytes that count as such to the system and are none, since onnxruntime maps
    files so that it could write to its pages."""
    import resource

    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory + mapped, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _read(request: Open) -> tuple[Any, Mapping[str, Any], Path | None]:
    """The model, weights that stay in their files, and the folder of these."""
    import onnx

    from ..load.map_model import map_model

    if request.path is None:
        return onnx.load_model_from_string(request.data), {}, None
    return *map_model(Path(request.path)), Path(request.path).parent


class Untouched:
    """The model as it was given: evaluated in float64, and run by onnxruntime with its optimisations off."""

    def __init__(self, model: Any, mapped: Mapping[str, Any], folder: Path | None) -> None:
        """mapped: weights that are not in the model but in files of the folder."""
        from ..load.weights import size_with_data
        from .evaluate import Evaluator
        from .own import Own
        from .program import program_of

        self._model, self._folder = model, folder
        self.size = size_with_data(model)
        self.program = program_of(model, mapped)
        self.outputs = self.program.outputs
        self.made = tuple(name for step in self.program.steps for name in step.node.output if name)
        self.own = Own(model, folder)
        self.refused = self.own.refused
        self.evaluator = Evaluator(self.program)

    def answer(self, question: Question) -> Answer:
        from .cross_check import CannotEvaluate

        own, problem = self.own.run(question.inputs, question.tensors) if question.own else (None, "")
        if problem:
            return Answer(own=None, own_problem=problem)
        optimised = self.optimised.run(question.inputs, question.tensors)[0] if question.optimised else None
        try:
            return self._evaluated(question, own, optimised)
        except CannotEvaluate as failure:
            said = str(failure)
        except MemoryError:
            said = "it needs more memory than the verification may take"
        except Exception as failure:  # a kernel on values that it does not expect: a fault of ours, but no reason to stop
            said = f"{type(failure).__name__}: {failure}"[:500]
        return Answer(own=own, optimised=optimised, exact_problem=said)

    def _evaluated(self, question: Question, own: Mapping[str, Any] | None, optimised: Mapping[str, Any] | None) -> Answer:
        from .rounding import half, noisy

        run, check = self.evaluator.run, self.evaluator.check
        exact = run(question.inputs, question.tensors) if question.exact else None
        halved = run(question.inputs, question.tensors, half).values if question.half else None
        floats, steps = self._stepped(question) if question.floats else (None, ())
        ways = [noisy(question.first + k, question.chained) for k in range(question.noise)]
        noise = tuple(run(question.inputs, question.tensors, way).values for way in ways)
        return Answer(
            own=own,
            optimised=optimised,
            exact=None if exact is None else exact.values,
            points=frozenset() if exact is None else exact.points,
            work=0 if exact is None else exact.work,
            half=halved,
            floats=floats,
            steps=steps,
            noise=noise,
            faults=dict(check.faults),
            unchecked=dict(check.unchecked),
        )

    def _stepped(self, question: Question) -> tuple[Mapping[str, Any] | None, tuple[Mapping[str, Any], ...]]:
        """Without steps, and with others; None where the model quantises no activations, or goes on with them in a way that takes none but
        whole numbers."""
        from .float_source import quantises, restepped, unstepped

        if not quantises(self._model.graph.node):
            return None, ()
        if not self.evaluator.check.settled:  # on what the operators are meant to get
            self.evaluator.run(question.inputs)
        ways: list[Rounding] = [unstepped, *(restepped(k) for k in range(STEPPED))]
        try:
            floats, *others = (self.evaluator.run(question.inputs, question.tensors, way).values for way in ways)
        except Exception:  # of numpy, about indices that are no integers; the exact evaluation told what is wrong with the model
            return None, ()
        return floats, tuple(others)

    @cached_property
    def optimised(self) -> Own:
        """The same with onnxruntime's optimisations: another order of the same arithmetic, if it is right."""
        from .own import Own

        return Own(self._model, self._folder, optimise=True)


if __name__ == "__main__":
    sys.exit(main())
