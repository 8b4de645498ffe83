"""How long the command takes to say something: its help, and that a key is misspelt.

    python benchmarks/startup.py

Each is a process of its own, in turns with one that only imports lightning and transformers: a configuration cannot be
read without them.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from _cells import machine

COMMANDS = {
    "lightning-clf --help": (["-m", "lightning_clf", "--help"], 0),
    "a misspelt key": (["-m", "lightning_clf", "fit", "--config", "sst2.yaml", "--model.lerning_rate", "1"], 2),
    "import lightning, transformers": (["-c", "import lightning, transformers"], 0),
}
REFERENCE = "import lightning, transformers"


def main(args: Sequence[str] | None = None) -> int:
    """Time the commands and print a table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--turns", type=int, default=7, help="how often each is started")
    options = parser.parse_args(args)
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(options.turns + 1):
        for name, (words, code) in COMMANDS.items():
            started = time.perf_counter()
            done = subprocess.run([sys.executable, *words], capture_output=True)
            assert done.returncode == code, done.stderr
            if turn:  # the first only fills the disk's cache
                seconds[name].append(time.perf_counter() - started)
    facts = machine()
    print(f"{facts['cores']} cores of {facts['cpu']}, {options.turns} starts each\n")
    print(f"| | seconds | to {REFERENCE} |")
    print("|---|---:|---:|")
    for name, times in seconds.items():
        print(f"| {name} | {median(times):.2f} | {median(times) / median(seconds[REFERENCE]):.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
