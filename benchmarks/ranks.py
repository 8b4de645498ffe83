"""Two processes of one thread beside one: samples a second of training, and where the rest goes.

    python benchmarks/ranks.py --data DIR

Three ways in turns, each a run of `lightning-clf fit` on SST-2 with batches of 32 a process and one thread a process:
one process; two that know nothing of each other, both at once, which shows what they take from each other of the memory
and the cache; and two under DDP over gloo, which send each other 91 MB of gradients a step besides.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median

import _corpora
from _cells import machine
from _timed_steps import FILE, WARMUP

BATCH = 32
ONE, APART, DDP = "one process", "two apart", "two, DDP over gloo"


def command(folder: Path, steps: int, more: Mapping[str, object]) -> list[str]:
    """A fit of so many steps, which judges nothing and keeps nothing."""
    options = {
        "data.init_args.source": json.dumps({split: str(_corpora.file("sst2", split)) for split in ("train", "test")}),
        "data.init_args.batch_size": BATCH,
        "model.init_args.encoder": _corpora.encoder(),
        "seed_everything": 0,
        "trainer.accelerator": "cpu",
        "trainer.callbacks": "_timed_steps.TimedSteps",
        "trainer.default_root_dir": folder / "run",
        "trainer.enable_progress_bar": "false",
        "trainer.limit_val_batches": 0,
        "trainer.max_steps": steps + WARMUP + 1,
        "trainer.precision": "bf16-mixed" if _corpora.bf16_is_native() else "32-true",
        **more,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "lightning_clf", "fit", "--config", "sst2.yaml", *words]


def run(side: str, steps: int, cache: str) -> float:
    """The median seconds of a step of one of the three."""
    with tempfile.TemporaryDirectory() as scratch:
        more = {"trainer.devices": 2, "trainer.strategy": "ddp"} if side == DDP else {"trainer.devices": 1}
        folders = [Path(scratch, str(number)) for number in range(2 if side == APART else 1)]
        running = []
        for folder in folders:
            folder.mkdir()
            paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
            variables = {FILE: str(folder / "steps.json"), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
            variables |= {"LIGHTNING_CLF_CACHE": cache, "MASTER_ADDR": "127.0.0.1"}
            words = command(folder, steps, more)
            running.append(subprocess.Popen(words, env={**os.environ, **variables}, stdout=subprocess.DEVNULL))
        if codes := [code for process in running if (code := process.wait())]:
            raise RuntimeError(f"{side}: a fit ended with {codes[0]}")
        return mean(median(json.loads((folder / "steps.json").read_text(encoding="utf-8"))) for folder in folders)


def main(args: Sequence[str] | None = None) -> int:
    """Time the three in turns and print a table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0, or 2 where the data or a package is missing.
    """
    parser = _corpora.parser(__doc__)
    parser.add_argument("--turns", type=int, default=5, help="runs of each")
    parser.add_argument("--steps", type=int, default=60, help="steps of a run, after those that are not timed")
    options = parser.parse_args(args)
    seconds: dict[str, list[float]] = {ONE: [], APART: [], DDP: []}
    try:
        with tempfile.TemporaryDirectory() as cache:
            for turn in range(options.turns):
                for side in list(seconds)[:: 1 if turn % 2 == 0 else -1]:
                    seconds[side].append(run(side, options.steps, cache))
    except (_corpora.MissingError, RuntimeError) as error:
        print(f"ranks.py: {error}", file=sys.stderr)
        return 2
    facts = machine()
    print(f"{facts['cores']} cores of {facts['cpu']}, {options.turns} runs of {options.steps} steps a side\n")
    print("| side | ms a step | samples/s | to one process | lowest to highest, turn by turn |")
    print("|---|---:|---:|---:|---:|")
    for side, times in seconds.items():
        batch = BATCH if side == ONE else 2 * BATCH
        ratios = [batch / BATCH * alone / time for alone, time in zip(seconds[ONE], times, strict=True)]
        spread = "" if side == ONE else f"{min(ratios):.2f} to {max(ratios):.2f}"
        step = median(times)
        print(f"| {side} | {1000 * step:.0f} | {batch / step:.1f} | {median(ratios):.2f} | {spread} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
