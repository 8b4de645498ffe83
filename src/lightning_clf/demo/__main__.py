"""Makes the demo and scores what was predicted on it.

`python -m lightning_clf.demo FOLDER [--seed N]` writes `FOLDER/data` and `FOLDER/encoder`.
`python -m lightning_clf.demo score TEST PREDICTIONS` prints strict entity F1.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from lightning_clf.demo.corpus import build_corpus, entity_strings, write_corpus
from lightning_clf.demo.names import ENTITY_TYPES
from lightning_clf.demo.score import score_unseen
from lightning_clf.errors import InputError


def make(output: Path, seed: int) -> None:
    """Writes the corpus to `output/data` and the encoder to `output/encoder`, and says what was made.

    Args:
        output: Folder to write to.
        seed: Seed of the corpus and of the encoder's weights.

    Raises:
        OSError: If the folder cannot be written.
    """
    # Scoring does not have to wait for torch and transformers.
    from lightning_clf.demo.encoder import build_encoder, write_encoder

    rows = build_corpus(seed)
    write_corpus(rows, output / "data")
    tokenizer, encoder = build_encoder((row.tokens for row in rows["train"]), seed)
    write_encoder(tokenizer, encoder, output / "encoder")

    print(f"{output / 'data'}: sentences with {', '.join(ENTITY_TYPES)} in IOB2 tags")
    for split, split_rows in rows.items():
        counts = Counter(tag[2:] for row in split_rows for tag in row.tags if tag.startswith("B-"))
        listed = "  ".join(f"{kind} {counts[kind]:,}" for kind in ENTITY_TYPES)
        print(f"  {split:<5} {len(split_rows):>6,} sentences   {listed}")
    unseen = sum(row.unseen for row in rows["test"])
    new = {text for row in rows["test"] for text in entity_strings(row)}
    new -= {text for row in rows["train"] for text in entity_strings(row)}
    share = f"{unseen / len(rows['test']):.0%}"
    print(f"  {unseen:,} test sentences ({share}) are unseen: train has neither their pattern nor their names")
    print(f"  {len(new):,} entity strings of test do not occur in train")
    size = f"{encoder.config.num_hidden_layers} layers of {encoder.config.hidden_size}"
    print(f"{output / 'encoder'}: untrained BERT, {size}, {encoder.num_parameters():,} parameters")
    print(f"  {len(tokenizer):,} word pieces, learned from train")


def main(args: list[str] | None = None) -> int:
    """Runs the command.

    Args:
        args: Arguments; those of the process by default.

    Returns:
        Exit code: 0 when done, 2 where a file or folder given cannot be used.
    """
    given = sys.argv[1:] if args is None else args
    parser = argparse.ArgumentParser(
        prog="python -m lightning_clf.demo", description="Makes a corpus and a small encoder."
    )
    scoring = given[:1] == ["score"]
    if scoring:
        parser.prog += " score"
        parser.description = "Strict entity F1 on the demo's test split and on its unseen sentences."
        parser.add_argument("test", type=Path, help="test.jsonl of the demo")
        parser.add_argument("predictions", type=Path, help="JSON lines in the same order, each with its predicted tags")
    else:
        parser.add_argument("output", type=Path, help="folder for data/ and encoder/")
        parser.add_argument("--seed", type=int, default=0, help="another seed makes another corpus and other weights")
    options = parser.parse_args(given[1:] if scoring else given)
    try:
        if scoring:
            score = score_unseen(options.test, options.predictions)
            print(f"strict entity F1   {score.entity_f1:.4f}   {score.rows:,} test sentences")
            print(f"  on unseen ones   {score.unseen_entity_f1:.4f}   {score.unseen_rows:,} sentences")
        else:
            make(options.output, options.seed)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
