"""How fast training is beside the peer: samples a second of whole steps, with data, optimiser, metrics and logging.

    python benchmarks/training.py --data DIR                    # every corpus
    python benchmarks/training.py --data DIR --only sst2        # one

Three sides train the same encoder on the same rows with the same recipe, a block of steps each in turn:

- ours: `lightning-clf fit` with the peer's learning rate and loss, and like the peer without validation;
- tuned: the Hugging Face Trainer with all that makes it fast here: dynamic padding, batches grouped by length, fused
  AdamW, and bf16 where the CPU computes in it;
- textbook: the Trainer in float32 with every text padded to 128.
"""

import sys
from collections.abc import Sequence
from statistics import median

import _corpora
from _blocks import Side, alternate, ratio
from _cells import machine

CORPORA = ("sst2", "conll2003", "goemotions")
REFERENCE = "tuned"


def sides(corpus: str, steps: int) -> dict[str, Side]:
    """The three sides on a corpus."""
    import _ours
    import _peer

    return {
        "ours": Side(_ours.train, (corpus,), steps, warmup=10),
        "tuned": Side(_peer.train, (corpus, True), steps, warmup=10),
        # a step of it takes as long as ten of the others
        "textbook": Side(_peer.train, (corpus, False), max(2, steps // 10), warmup=2),
    }


def main(args: Sequence[str] | None = None) -> int:
    """Time the sides and print a table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0, or 2 where the data or a package is missing.
    """
    parser = _corpora.parser(__doc__)
    parser.add_argument("--only", nargs="+", default=CORPORA, choices=CORPORA, help="these corpora only")
    parser.add_argument("--blocks", type=int, default=9, help="turns of each side")
    parser.add_argument("--steps", type=int, default=50, help="steps of a block; the peer sorts 50 batches at a time")
    options = parser.parse_args(args)
    precision = "bf16" if _corpora.bf16_is_native() else "float32"
    facts = machine()
    print(f"{facts['cores']} cores of {facts['cpu']}, {precision}, batches of 32, {options.blocks} blocks a side\n")
    print("| corpus | side | samples/s | to the tuned Trainer | 95 % interval | peak memory |")
    print("|---|---|---:|---:|---:|---:|")
    try:
        for corpus in options.only:
            timed = alternate(sides(corpus, options.steps), options.blocks)
            for name, blocks in timed.items():
                value, low, high = ratio(blocks, timed[REFERENCE])
                rate = median(block.rate for block in blocks)
                interval = "" if name == REFERENCE else f"{low:.2f} to {high:.2f}"
                peak = f"{blocks[-1].peak_mb:.0f} MB"
                print(f"| {corpus} | {name} | {rate:.1f} | {value:.2f} | {interval} | {peak} |", flush=True)
    except (_corpora.MissingError, RuntimeError) as error:
        print(f"training.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
