"""What ten times the rows cost before and in training: time and peak memory, without a cache and with one.

    python benchmarks/scale.py --data DIR
    python benchmarks/scale.py --data DIR --rows 4341 43410 1000000

Rows are those of GoEmotions, over and over for a million. Each start is a process of its own: it reads, checks and
encodes the rows unless the cache has them, and trains for some steps with a tiny encoder, so that the data show.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import _corpora
from _cells import machine

STEPS = 50


def write(path: Path, rows: int) -> None:
    """Writes so many rows of GoEmotions; a number is added to each from the second time on, lest they be the same."""
    texts = _corpora.load("goemotions").splits["train"]
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(itertools.islice(itertools.cycle(texts), rows)):
            turn = number // len(texts)
            text = f"{turn} {row['text']}" if turn else row["text"]
            file.write(json.dumps({"text": text, "labels": row["labels"]}) + "\n")


def start(folder: str) -> None:
    """Trains for some steps and prints what it took as JSON."""
    import torch
    from lightning.pytorch import Callback, Trainer
    from transformers import AutoModel, AutoTokenizer, BertConfig

    from lightning_clf import MultiLabelClassifier, MultiLabelDataModule

    imported = time.perf_counter()
    encoder = Path(folder, "encoder")
    if not encoder.exists():
        tokenizer = AutoTokenizer.from_pretrained(_corpora.encoder())
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
        )
        torch.manual_seed(0)
        AutoModel.from_config(config).save_pretrained(encoder)
        tokenizer.save_pretrained(encoder)

    class First(Callback):
        """When the first step was taken."""

        seconds = 0.0

        def on_train_batch_end(self, *args: object, **kwargs: object) -> None:
            """Look at the clock once."""
            self.seconds = self.seconds or time.perf_counter() - imported

    first = First()
    trainer = Trainer(
        max_steps=STEPS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=1,
        num_sanity_val_steps=0,
        callbacks=[first],
    )
    data = MultiLabelDataModule(Path(folder, "data"), cache_dir=Path(folder, "cache"))
    trainer.fit(MultiLabelClassifier(str(encoder)), data)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"first": first.seconds, "peak": peak}))


def main(args: Sequence[str] | None = None) -> int:
    """Start twice for each number of rows, and print a table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0, or 2 where the data or a package is missing.
    """
    parser = _corpora.parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[4341, 43410], help="how many rows of train")
    parser.add_argument("--start", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.start:
        start(options.start)
        return 0
    facts = machine()
    try:
        print(f"{facts['cores']} cores of {facts['cpu']}\n")
        print("| rows | start | seconds to the first step | peak memory after 50 steps |")
        print("|---:|---|---:|---:|")
        for rows in options.rows:
            with tempfile.TemporaryDirectory() as scratch:
                (Path(scratch) / "data").mkdir()
                write(Path(scratch, "data", "train.jsonl"), rows)
                for name in ("first", "second"):
                    command = [sys.executable, __file__, "--start", scratch]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    took = json.loads(done.stdout.splitlines()[-1])
                    print(f"| {rows:,} | {name} | {took['first']:.1f} | {took['peak']:.0f} MB |", flush=True)
    except (_corpora.MissingError, subprocess.CalledProcessError) as error:
        print(f"scale.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
