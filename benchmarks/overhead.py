"""What the Lightning way costs: a fit by the command beside a bare loop around the same parts, in one process.

    python benchmarks/overhead.py --data DIR

The fit has all that a run has: callbacks, metrics of train over every batch, logging, a progress that is not shown. The
bare loop has the network, the loss, the optimiser, the schedule and the batches, and nothing else. After each block of
steps of the fit the bare loop has one, on a network of its own. What is timed within a step are the functions that
compute, which both share: the forward pass with the loss, the backward pass, and the optimiser with clipping; all else
is outside of them.
"""

import sys
from collections.abc import Sequence
from statistics import median
from typing import Any, ClassVar

from lightning.pytorch import Callback, Trainer

import _bare
import _corpora
import _ours
from _blocks import interval
from _cells import machine
from lightning_clf.modules import ClassifierModule

Turn = dict[str, float]
WARMUP = 20
COLUMNS = (*_bare.NEEDED, "outside", "step")
FIT, BARE = "lightning-clf fit", "bare loop"


class Turns(Callback):
    """Times blocks of the fit's steps, each followed by one of the bare loop; given to the command by its name."""

    corpus: ClassVar[str]
    blocks: ClassVar[int]
    steps: ClassVar[int]
    timed: ClassVar[dict[str, list[Turn]]]

    def __init__(self) -> None:
        self._clock = _bare.Clock()
        self._left = WARMUP

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Have what computes timed, at the first step."""
        if trainer.global_step:
            return
        module: ClassifierModule = pl_module
        time = self._clock.time
        module.score = time("forward", module.score)  # type: ignore[method-assign]
        module.backward = time("backward", module.backward)  # type: ignore[method-assign]
        cheap_step = module._cheap_step
        if cheap_step is None:
            raise RuntimeError("the fit has no cheap steps: this is for a CPU")
        cheap_step.clip_gradients = time("optimiser", cheap_step.clip_gradients)  # type: ignore[method-assign]
        self._clock.time_step(trainer.optimizers[0])
        self._bare_clock = _bare.Clock()
        self._bare = _bare.steps(self.corpus, self._bare_clock)
        self._run_bare(WARMUP)

    def on_train_batch_end(self, trainer: Trainer, *others: Any) -> None:
        """Give the turn to the bare loop, where a block is full."""
        self._left -= 1
        if self._left:
            return
        if trainer.global_step > WARMUP:
            self.timed[FIT].append(self._per_step(self._clock))
            self._bare_clock.start()
            self._run_bare(self.steps)
            self.timed[BARE].append(self._per_step(self._bare_clock))
        trainer.should_stop = len(self.timed[FIT]) == self.blocks
        self._left = self.steps
        self._clock.start()

    def _run_bare(self, number: int) -> None:
        for _ in range(number):
            next(self._bare)

    def _per_step(self, clock: _bare.Clock) -> Turn:
        return {part: seconds / self.steps for part, seconds in clock.read().items()}


def outside(turns: Sequence[Turn]) -> float:
    """The share of a step that is spent outside of what it needs, in percent."""
    return 100 * median(turn["outside"] / turn["step"] for turn in turns)


def longer(pairs: Sequence[tuple[Turn, Turn]]) -> float:
    """How much longer the first of two takes for a step, in percent."""
    fit, bare = (median(turn["step"] for turn in side) for side in zip(*pairs, strict=True))
    return 100 * (fit / bare - 1)


def main(args: Sequence[str] | None = None) -> int:
    """Time both and print a table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0, or 2 where the data or a package is missing.
    """
    parser = _corpora.parser(__doc__)
    parser.add_argument("--corpus", default="sst2", choices=("sst2", "conll2003", "goemotions"))
    parser.add_argument("--blocks", type=int, default=21, help="turns of each side")
    parser.add_argument("--steps", type=int, default=20, help="steps of a block")
    options = parser.parse_args(args)
    Turns.corpus, Turns.blocks, Turns.steps = options.corpus, options.blocks, options.steps
    Turns.timed = {FIT: [], BARE: []}
    try:
        recipe = _corpora.RECIPES[options.corpus]
        _ours.train_by(options.corpus, recipe, "overhead.Turns", {"trainer.accelerator": "cpu"})
    except (_corpora.MissingError, RuntimeError) as error:
        print(f"overhead.py: {error}", file=sys.stderr)
        return 2
    facts, shape = machine(), f"{options.blocks} blocks of {options.steps} steps"
    print(f"{facts['cores']} cores of {facts['cpu']}, {options.corpus}, {shape}; ms of a step, medians\n")
    print(f"| side | {' | '.join(COLUMNS)} | outside of a step | 95 % interval |")
    print("|---|" + "---:|" * (len(COLUMNS) + 2))
    for name, turns in Turns.timed.items():
        each = [f"{1000 * median(turn[part] for turn in turns):.1f}" for part in COLUMNS]
        share, low, high = interval(turns, outside)
        print(f"| {name} | {' | '.join(each)} | {share:.1f} % | {low:.1f} to {high:.1f} |")
    pairs = list(zip(Turns.timed[FIT], Turns.timed[BARE], strict=True))
    print("\na step takes {:.1f} % longer (95 % interval {:.1f} to {:.1f} %)".format(*interval(pairs, longer)))
    return 0


if __name__ == "__main__":
    sys.modules["overhead"] = sys.modules["__main__"]  # which the command is given by name
    sys.exit(main())
