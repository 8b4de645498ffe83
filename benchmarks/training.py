"""How fast training is beside the peer: samples a second of whole steps, with data, optimiser, metrics and logging.

    python benchmarks/training.py --data DIR                  # every corpus
    python benchmarks/training.py --data DIR --only sst2      # one
    python benchmarks/training.py --data DIR --shape large    # an encoder of BERT-large's shape, for a GPU

The sides train the same encoder on the same rows with the same recipe, a block of steps each in turn:

- ours: `lightning-clf fit` with the peer's learning rate and loss, and like the peer without validation;
- tuned: the Hugging Face Trainer with all that makes it fast here: dynamic padding, batches grouped by length, fused
  AdamW, and bf16 where the machine computes in it;
- textbook: the Trainer in float32 with every text padded to 128;
- with `--more`, ours in further ways: `frozen` embeddings, which the Trainer's are not; `compiled`, by `model.compile`;
  `replayed`, by `model.cuda_graphs`, and `loaded aside`, with two processes that collate besides; `whole` attention
  weights, without dropout, with padding, and `packed`, which then has a kernel of the GPU's: these two compare with
  each other.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from unittest import mock

import torch

import _corpora
from _blocks import Side, alternate, ratio
from _cells import place

CORPORA = ("sst2", "conll2003", "goemotions")
SHAPES = {"minilm": (6, 384, 12), "base": (12, 768, 12), "large": (24, 1024, 16)}  # layers, width, heads
REFERENCE = "tuned"
NO_DROPOUT = {"model.init_args.encoder_options": json.dumps({"attention_probs_dropout_prob": 0.0})}
MORE: dict[str, dict[str, object]] = {
    "compiled": {"model.init_args.compile": "true"},
    "frozen": {
        "model.init_args.finetuning": json.dumps({"class_path": "FineTuning", "init_args": {"freeze": "embeddings"}})
    },
    "replayed": {"model.init_args.cuda_graphs": "true"},
    "loaded aside": {"model.init_args.cuda_graphs": "true", "data.init_args.num_workers": 2},
    "whole": NO_DROPOUT,
    "packed": {**NO_DROPOUT, "model.init_args.packed": "true"},
}


@contextmanager
def encoder_of(shape: str | None) -> Iterator[None]:
    """An encoder of a shape, with random weights, in the place of all-MiniLM-L6-v2: speed depends on no weight."""
    if shape is None:
        yield
        return
    from transformers import AutoTokenizer, BertConfig, BertModel

    layers, width, heads = SHAPES[shape]
    tokenizer = AutoTokenizer.from_pretrained(_corpora.encoder())
    sizes = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads}
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(tokenizer), intermediate_size=4 * width, **sizes)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        with mock.patch.dict(os.environ, {_corpora.ENCODER_VARIABLE: folder}):
            yield


def sides(corpus: str, steps: int, batch_size: int, more: Sequence[str]) -> dict[str, Side]:
    """The sides on a corpus, with those of `MORE` that are named."""
    import _ours
    import _peer

    recipe = replace(_corpora.RECIPES[corpus], batch_size=batch_size)
    options = {"ours": {}, **{f"ours, {name}": MORE[name] for name in more}}
    return {
        **{name: Side(_ours.train, (corpus, recipe, keys), steps, warmup=60) for name, keys in options.items()},
        REFERENCE: Side(_peer.train, (corpus, recipe, True), steps, warmup=60),
        # a step of it takes as long as ten of the others
        "textbook": Side(_peer.train, (corpus, recipe, False), max(2, steps // 10), warmup=2),
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
    parser.add_argument("--blocks", type=int, default=7, help="turns of each side")
    # lengths differ from batch to batch: short blocks would differ more than machines do
    parser.add_argument("--steps", type=int, default=200, help="steps of a block; the peer sorts 50 batches at a time")
    parser.add_argument("--batch_size", type=int, default=32, help="texts of a batch")
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this shape, in place of all-MiniLM-L6-v2")
    parser.add_argument("--more", nargs="+", default=(), choices=MORE, help="further sides")
    options = parser.parse_args(args)
    shape = "" if options.shape is None else f"an encoder of the shape {options.shape}, "
    work = f"batches of {options.batch_size}, {options.blocks} blocks of {options.steps} steps a side"
    print(f"{place()}, {_corpora.precision()}, {shape}{work}\n")
    print("| corpus | side | samples/s | to the tuned Trainer | 95 % interval | peak memory |")
    print("|---|---|---:|---:|---:|---:|")
    try:
        with encoder_of(options.shape):
            for corpus in options.only:
                timed = alternate(sides(corpus, options.steps, options.batch_size, options.more), options.blocks)
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
