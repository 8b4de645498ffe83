"""What the Lightning way costs: a fit by the command beside a bare loop around the same parts.

    python benchmarks/overhead.py --data DIR

The fit has all that a run has: callbacks, metrics of train over every batch, logging, a progress that is not shown. The
bare loop has the network, the loss, the optimiser, the schedule and the batches, and nothing else.
"""

import sys
from collections.abc import Sequence
from statistics import median

import _corpora
from _blocks import Side, alternate, ratio
from _cells import machine


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
    try:
        import _ours

        recipe, on_cpu = _corpora.RECIPES[options.corpus], {"trainer.accelerator": "cpu"}
        sides = {
            "lightning-clf fit": Side(_ours.train, (options.corpus, recipe, on_cpu), options.steps, warmup=10),
            "bare loop": Side(_ours.bare, (options.corpus,), options.steps, warmup=10),
        }
        timed = alternate(sides, options.blocks)
    except (_corpora.MissingError, RuntimeError) as error:
        print(f"overhead.py: {error}", file=sys.stderr)
        return 2
    facts, shape = machine(), f"{options.blocks} blocks of {options.steps} steps"
    print(f"{facts['cores']} cores of {facts['cpu']}, {options.corpus}, {shape}\n")
    print("| side | samples/s |")
    print("|---|---:|")
    for name, blocks in timed.items():
        print(f"| {name} | {median(block.rate for block in blocks):.1f} |")
    value, low, high = ratio(timed["bare loop"], timed["lightning-clf fit"])
    percent = [f"{100 * (number - 1):.1f}" for number in (value, low, high)]
    print("\na step takes {} % longer (95 % interval {} to {} %)".format(*percent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
