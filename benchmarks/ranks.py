"""Two processes of one thread beside one: samples a second of training, and where the rest goes.

    python benchmarks/ranks.py --data DIR

Three ways in turns, each a run of `lightning-clf fit` on SST-2 with batches of 32 a process and one thread a process:
one process; two that know nothing of each other, both at once, which shows what they take from each other of the memory
and the cache; and two under DDP over gloo. Then what gloo takes for sums of so many bytes between two processes that do
nothing else: of the gradients that DDP sends, and of all gradients, the embedding table's too.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median

import torch
import torch.distributed as dist
from torch import multiprocessing

import _corpora
from _cells import machine
from _timed_steps import FILE, PHASES, WARMUP

BATCH = 32
SENT = (22_713_986 - 30_522 * 384, 22_713_986)  # numbers: a MiniLM-L6 without its embedding table, and with it
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
        "trainer.precision": _corpora.precision(),
        **more,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "lightning_clf", "fit", "--config", "sst2.yaml", *words]


def run(side: str, steps: int, cache: str) -> dict[str, float]:
    """The median seconds of a step of one of the three, and of its phases."""
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
        noted = [json.loads((folder / "steps.json").read_text(encoding="utf-8")) for folder in folders]
        return {name: mean(median(each[name]) for each in noted) for name in ("step", *PHASES)}


def _send(rank: int, port: int, folder: str) -> None:
    """Sum tensors of so many numbers over two processes, and write the median seconds of each."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    seconds = {}
    for count in SENT:
        numbers, each = torch.empty(count), []
        for _ in range(20):
            numbers.fill_(1.0)
            dist.barrier()
            started = time.perf_counter()
            dist.all_reduce(numbers)
            each.append(time.perf_counter() - started)
        seconds[str(count)] = median(each[5:])
    dist.destroy_process_group()
    Path(folder, f"{rank}.json").write_text(json.dumps(seconds), encoding="utf-8")


def sending() -> dict[int, float]:
    """The median seconds that gloo takes for each of `SENT`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(_send, (port, folder), nprocs=2)
        noted = [json.loads(Path(folder, f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]
        return {count: mean(each[str(count)] for each in noted) for count in SENT}


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
    runs: dict[str, list[dict[str, float]]] = {ONE: [], APART: [], DDP: []}
    try:
        with tempfile.TemporaryDirectory() as cache:
            for turn in range(options.turns):
                for side in list(runs)[:: 1 if turn % 2 == 0 else -1]:
                    runs[side].append(run(side, options.steps, cache))
    except (_corpora.MissingError, RuntimeError) as error:
        print(f"ranks.py: {error}", file=sys.stderr)
        return 2
    facts = machine()
    print(f"{facts['cores']} cores of {facts['cpu']}, {options.turns} runs of {options.steps} steps a side\n")
    print("| side | ms a step | samples/s | to one process | lowest to highest, turn by turn |")
    print("|---|---:|---:|---:|---:|")
    for side, timed in runs.items():
        times, batch = [each["step"] for each in timed], BATCH if side == ONE else 2 * BATCH
        ratios = [batch / BATCH * alone["step"] / time for alone, time in zip(runs[ONE], times, strict=True)]
        spread = "" if side == ONE else f"{min(ratios):.2f} to {max(ratios):.2f}"
        step = median(times)
        print(f"| {side} | {1000 * step:.0f} | {batch / step:.1f} | {median(ratios):.2f} | {spread} |")
    print(f"\n| ms of a step | {' | '.join(PHASES)} |\n|---|{'---:|' * len(PHASES)}")
    for side, timed in runs.items():
        parts = (f"{1000 * median(each[phase] for each in timed):.0f}" for phase in PHASES)
        print(f"| {side} | {' | '.join(parts)} |")
    print("\n| gloo alone sums | ms |\n|---|---:|")
    for count, time_of in sending().items():
        print(f"| {4 * count / 1e6:.0f} MB | {1000 * time_of:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
