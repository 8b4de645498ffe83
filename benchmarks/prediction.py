"""How fast prediction is beside the peer: texts a second, from a file of texts to a file of labelled JSON lines.

    python benchmarks/prediction.py --data DIR

Every side reads the same 600 test sentences of SST-2 and has the same folder loaded: the encoder under a fresh head,
since speed does not depend on what was learned. A block is the whole file, each side's in turn.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

import _corpora
from _blocks import Gate, Side, alternate, ratio
from _cells import place
from lightning_clf.cpu import keep_freed_memory
from lightning_clf.inference import load_classifier, predict_file

TEXTS = 600
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
REFERENCE = "pipeline(batch_size=32)"


def ours(folder: str, texts: str, dtype: torch.dtype | None, gate: Gate) -> None:
    """`lightning-clf predict`, but for the time it takes to start and to load."""
    keep_freed_memory()
    classifier = load_classifier(folder).to(DEVICE, dtype)
    with tempfile.TemporaryDirectory() as scratch:
        while True:
            gate.step(predict_file(classifier, texts, f"{scratch}/answers.jsonl"))


def peer(folder: str, texts: str, batch_size: int | None, gate: Gate) -> None:
    """A stock pipeline over the lines of the file."""
    classify = pipeline("text-classification", model=folder, batch_size=batch_size, top_k=None, device=DEVICE)

    def lines() -> Iterator[str]:
        with Path(texts).open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)["text"]

    with tempfile.TemporaryDirectory() as scratch:
        while True:
            count = 0
            with Path(scratch, "answers.jsonl").open("w", encoding="utf-8") as out:
                for answer in classify(lines()):
                    out.write(json.dumps(answer) + "\n")
                    count += 1
            gate.step(count)


def export(folder: Path) -> None:
    """Writes the encoder under a fresh head of two classes, as `lightning-clf fit` exports one."""
    from lightning_clf import LabelSpace, SingleLabelClassifier

    torch.manual_seed(0)
    labels = LabelSpace.of(["negative", "positive"], "single")
    module = SingleLabelClassifier(str(_corpora.encoder()), labels=labels.to_dict())
    module.build()
    module.max_length = 128
    module.artefact.save(folder)
    AutoModelForSequenceClassification.from_pretrained(folder)  # a stock folder: the peer reads it too
    AutoTokenizer.from_pretrained(folder)


def main(args: Sequence[str] | None = None) -> int:
    """Time the sides and print a table.

    Args:
        args: The command line; that of the process by default.

    Returns:
        0, or 2 where the data or a package is missing.
    """
    parser = _corpora.parser(__doc__)
    parser.add_argument("--blocks", type=int, default=9, help="turns of each side")
    options = parser.parse_args(args)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            rows = _corpora.load("sst2").splits["test"][:TEXTS]
            texts = Path(scratch, "texts.jsonl")
            texts.write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows), encoding="utf-8")
            folder = Path(scratch, "model")
            export(folder)
            paths = (str(folder), str(texts))
            sides = {
                "predict": Side(ours, (*paths, None), 1, 1),
                "predict --precision bf16-true": Side(ours, (*paths, torch.bfloat16), 1, 1),
                REFERENCE: Side(peer, (*paths, 32), 1, 1),
                "pipeline, default": Side(peer, (*paths, None), 1, 1),
            }
            timed = alternate(sides, options.blocks)
    except (_corpora.MissingError, RuntimeError) as error:
        print(f"prediction.py: {error}", file=sys.stderr)
        return 2
    print(f"{place()}, {TEXTS} texts a block, {options.blocks} blocks a side\n")
    print(f"| side | texts/s | to {REFERENCE} | 95 % interval |")
    print("|---|---:|---:|---:|")
    for name, blocks in timed.items():
        value, low, high = ratio(blocks, timed[REFERENCE])
        interval = "" if name == REFERENCE else f"{low:.2f} to {high:.2f}"
        print(f"| {name} | {median(block.rate for block in blocks):.0f} | {value:.2f} | {interval} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
