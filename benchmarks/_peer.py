"""The peer: the same recipe, run by the Hugging Face ``Trainer`` with the architecture's own head."""

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from _blocks import Gate
from _corpora import RECIPES, Corpus, MissingError, Recipe, Row, encoder, load

NEEDS = {"accelerate": "accelerate", "sklearn": "scikit-learn", "seqeval": "seqeval"}  # module: package
IGNORED = -100

Features = dict[str, list[int] | list[float] | int]


def first_subwords(word_ids: list[int | None]) -> dict[int, int]:
    """Returns, for each word inside the window, the position of its first subword."""
    first: dict[int, int] = {}
    for position, word in enumerate(word_ids):
        if word is not None:
            first.setdefault(word, position)
    return first


def encode(corpus: Corpus, rows: list[Row], tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Features]:
    """Tokenises rows and turns their labels into what the model's own loss expects.

    Tags stand on the first subword of their word; every other position is ignored.
    """
    index = {label: i for i, label in enumerate(corpus.labels)}
    features: list[Features] = []
    for row in rows:
        labels = corpus.row_labels(row)
        if corpus.kind in ("tags", "words"):
            encoding = tokenizer(row["tokens"], is_split_into_words=True, truncation=True, max_length=max_length)
            targets = [IGNORED] * len(encoding["input_ids"])
            for word, position in first_subwords(encoding.word_ids()).items():
                targets[position] = index[labels[word]]
            features.append({**encoding, "labels": targets})
            continue
        encoding = tokenizer(row["text"], row.get("text_pair"), truncation=True, max_length=max_length)
        if corpus.kind == "multi":
            features.append({**encoding, "labels": [float(label in labels) for label in corpus.labels]})
        else:
            features.append({**encoding, "labels": index[labels[0]]})
    return features


def score(
    corpus: Corpus, rows: list[Row], logits: NDArray[np.float32], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, float]:
    """Computes the metrics of one split from the logits of its rows, in the order of the rows."""
    from seqeval import metrics as entities
    from seqeval.scheme import IOB2
    from sklearn.metrics import accuracy_score, f1_score

    gold = [corpus.row_labels(row) for row in rows]
    if corpus.kind in ("tags", "words"):
        unseen = "O" if corpus.kind == "tags" else ""  # what a word beyond the window keeps
        predicted = []
        for row, best in zip(rows, logits.argmax(-1), strict=True):
            encoding = tokenizer(row["tokens"], is_split_into_words=True, truncation=True, max_length=max_length)
            tags = [unseen] * len(row["tokens"])
            for word, position in first_subwords(encoding.word_ids()).items():
                tags[word] = corpus.labels[best[position]]
            predicted.append(tags)
        if corpus.kind == "words":
            return {"accuracy": float(accuracy_score([*chain(*gold)], [*chain(*predicted)]))}
        strict = {"mode": "strict", "scheme": IOB2}
        return {
            "entity_precision": float(entities.precision_score(gold, predicted, **strict)),
            "entity_recall": float(entities.recall_score(gold, predicted, **strict)),
            "entity_f1": float(entities.f1_score(gold, predicted, **strict)),
        }
    if corpus.kind == "multi":
        truth = np.array([[label in labels for label in corpus.labels] for labels in gold])
        above = logits > 0  # a probability over 0.5
        averages = {f"f1_{a}": float(f1_score(truth, above, average=a, zero_division=0)) for a in ("micro", "macro")}
        each = f1_score(truth, above, average=None, zero_division=0)
        return averages | {f"f1/{label}": float(value) for label, value in zip(corpus.labels, each, strict=True)}
    names = [labels[0] for labels in gold]
    best_names = [corpus.labels[i] for i in logits.argmax(-1)]
    macro = f1_score(names, best_names, labels=corpus.labels, average="macro", zero_division=0)
    each = f1_score(names, best_names, labels=corpus.labels, average=None, zero_division=0)
    return {
        "accuracy": float(accuracy_score(names, best_names)),
        "f1_macro": float(macro),
        **{f"f1/{label}": float(value) for label, value in zip(corpus.labels, each, strict=True)},
    }


def load_model(corpus: Corpus) -> PreTrainedModel:
    """Loads the encoder under a fresh head for the corpus."""
    auto = AutoModelForTokenClassification if corpus.kind in ("tags", "words") else AutoModelForSequenceClassification
    problem = {"single": "single_label_classification", "multi": "multi_label_classification"}
    model: PreTrainedModel = auto.from_pretrained(
        encoder(),
        dtype=torch.float32,
        problem_type=problem.get(corpus.kind),
        id2label=dict(enumerate(corpus.labels)),
        label2id={label: i for i, label in enumerate(corpus.labels)},
    )
    return model


def arguments(recipe: Recipe, seed: int, output: str) -> TrainingArguments:
    """Writes a recipe as the arguments of a ``Trainer`` that neither saves nor evaluates on the way."""
    return TrainingArguments(
        output_dir=output,
        seed=seed,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=recipe.warmup_ratio,  # a share of all steps, being below 1
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_gradient_norm,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=128,
        bf16=recipe.bf16,
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        eval_strategy="no",
        save_strategy="no",
        logging_steps=50,
        report_to="none",
        disable_tqdm=True,
    )


def run(corpus: str, seed: int) -> dict[str, float]:
    """Fine-tunes the encoder on a corpus and scores it on the test split, and on the dev split where there is one.

    Args:
        corpus: A key of ``RECIPES``.
        seed: The seed of the head's weights, the order of the rows and dropout.

    Returns:
        Metrics named ``test/…`` and ``val/…``, and ``train_seconds``.

    Raises:
        MissingError: The data, the encoder or a package that only the peer needs is not installed.
    """
    metrics = fit_and_score(load(corpus), RECIPES[corpus], seed)
    return {name: value for name, value in metrics.items() if name.count("/") <= 1}


def fit_and_score(
    data: Corpus, recipe: Recipe, seed: int, loss: Callable[..., Tensor] | None = None
) -> dict[str, float]:
    """Fine-tunes the encoder on the rows of a corpus by a recipe; arguments and results are otherwise `run`'s.

    Args:
        data: The rows.
        recipe: The recipe.
        seed: The seed.
        loss: What the Trainer minimises in place of the model's own loss.
    """
    seconds, logits = fit_and_predict(data, recipe, seed, loss)
    tokenizer = AutoTokenizer.from_pretrained(encoder())
    results = {"train_seconds": seconds}
    for stage, some in logits.items():
        metrics = score(data, data.splits[stage], some, tokenizer, recipe.max_length)
        results |= {f"{stage}/{name}": value for name, value in metrics.items()}
    return results


def fit_and_predict(
    data: Corpus, recipe: Recipe, seed: int, loss: Callable[..., Tensor] | None = None
) -> tuple[float, dict[str, NDArray[np.float32]]]:
    """Fine-tunes as `fit_and_score` does.

    Returns:
        The seconds of training, and of `test`, and of `val` where there is one, the logits in the order of the rows.
    """
    missing = [package for module, package in NEEDS.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingError(f"the peer needs packages that are not installed: {', '.join(missing)}")
    tokenizer = AutoTokenizer.from_pretrained(encoder())
    collator = DataCollatorForTokenClassification if data.kind in ("tags", "words") else DataCollatorWithPadding
    set_seed(seed)  # before the head is drawn
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(
            model=load_model(data),
            compute_loss_func=loss,
            args=arguments(recipe, seed, scratch),
            data_collator=collator(tokenizer),
            train_dataset=encode(data, data.splits["train"], tokenizer, recipe.max_length),
            processing_class=tokenizer,
        )
        seconds = float(trainer.train().metrics["train_runtime"])
        # Grouping by length would also shuffle the rows that are predicted, and answer in the shuffled order.
        trainer.args.train_sampling_strategy = "sequential"
        logits = {}
        for stage in ("test", "val"):
            if rows := data.splits.get(stage):
                features = encode(data, rows, tokenizer, recipe.max_length)
                output = trainer.predict(features)  # type: ignore[arg-type]  # a list has all that it asks of a dataset
                logits[stage] = np.asarray(output.predictions, dtype=np.float32)
    return seconds, logits


class _Steps(TrainerCallback):
    """Passes the gate after every step."""

    def __init__(self, gate: Gate, batch_size: int) -> None:
        self.gate, self.batch_size = gate, batch_size

    def on_step_end(self, *args: object, **kwargs: object) -> None:
        """Report a step."""
        self.gate.step(self.batch_size)


def train(corpus: str, recipe: Recipe, tuned: bool, gate: Gate) -> None:
    """Train for its speed until it is stopped.

    Args:
        corpus: A key of ``RECIPES``.
        recipe: Its recipe.
        tuned: Whether batches are grouped by length and padded to their longest text, in bf16 where that is fast.
            Otherwise every text is padded to 128 and computed in float32, as textbooks have it.
        gate: Passed after every step.
    """
    data = load(corpus)
    recipe = replace(recipe, epochs=1000)
    if not tuned:
        recipe = replace(recipe, max_length=128, bf16=False)
    tokenizer = AutoTokenizer.from_pretrained(encoder())
    collator = DataCollatorForTokenClassification if data.kind in ("tags", "words") else DataCollatorWithPadding
    padding = {} if tuned else {"padding": "max_length", "max_length": recipe.max_length}
    set_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        options = arguments(recipe, 0, scratch)
        options.dataloader_drop_last = True  # the gate counts whole batches
        if not tuned:
            options.train_sampling_strategy = "random"
        trainer = Trainer(
            model=load_model(data),
            args=options,
            data_collator=collator(tokenizer, **padding),
            train_dataset=encode(data, data.splits["train"], tokenizer, recipe.max_length),
            processing_class=tokenizer,
            callbacks=[_Steps(gate, recipe.batch_size)],
        )
        trainer.train()
