"""A model of a corpus that is trained, calibrated on dev, and measured on test."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch import Tensor

import _corpora
import _ours
from _cells import Measured
from _settings import PARTED, setting
from lightning_clf.calibration import Target, Wanted, choose, conformal_quantile, fit_temperature, measure
from lightning_clf.decision import Decision, LabelSets
from lightning_clf.errors import InputError
from lightning_clf.inference import Classifier, calibrate, load_classifier
from lightning_clf.inference.held_out import HeldOut, read_held_out
from lightning_clf.metrics import MultiLabelScores

LEVEL, RISK, SPLITS, ROWS = 0.9, 0.1, 20, 300


def files(corpus: str, scratch: Path) -> Path:
    """The folder of a corpus's splits, cut or split first where it has to be."""
    return setting(corpus).write(scratch) if corpus in ("trec", "goemotions", *PARTED) else _corpora.folder(corpus)


def split(source: Path, *names: str) -> str:
    """The first file there is of a split's names."""
    return str(next(path for name in names if (path := source / f"{name}.jsonl").exists()))


def trained(corpus: str, seed: int, runs: Path, source: Path) -> tuple[Path, float]:
    """The last epoch's checkpoint by the shipped configuration, and how long it trained: 0 where it was there.

    Args:
        corpus: Which.
        seed: The seed.
        runs: Where runs are kept.
        source: The folder of its splits.
    """
    run = runs / f"{corpus}-{seed}"
    if (run / "last.ckpt").exists():
        return run / "last.ckpt", 0.0
    options: dict[str, object] = {
        "data.init_args.source": str(source),
        "trainer.precision": _corpora.precision(),
    }
    if corpus == "goemotions":
        options["data.init_args.labels"] = json.dumps(_corpora.load(corpus).labels)
    metrics = _ours.fit_and_score(_ours.CONFIGS[corpus], seed, options, "last.ckpt", run)
    return run / "last.ckpt", metrics["train_seconds"]


def run(corpus: str, seed: int, runs: Path | None) -> Measured:
    """Trains, unless there is a model, and measures.

    Args:
        corpus: Which.
        seed: The seed.
        runs: Where runs are kept, or `None`.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        source = files(corpus, scratch)
        checkpoint, seconds = trained(corpus, seed, runs or scratch, source)
        classifier = load_classifier(checkpoint)
        dev, test = split(source, "dev", "val"), split(source, "test")
        held, unseen = (read_held_out(classifier, file, {}, 32) for file in (dev, test))
        found = {"train_seconds": seconds, **_temperature(held, unseen)}
        kind = classifier.labels.kind
        if kind == "single":
            found |= _promises(classifier, held, unseen)
        if kind == "multi":
            found |= _thresholds(classifier, held, unseen)
        calibrate(str(checkpoint), dev, str(scratch / "calibrated"), Wanted())
        found |= compare_with_stock(scratch / "calibrated", test, scratch / "given.json")
        return Measured(found, {"val": len(held.logits), "test": len(unseen.logits)})


def _temperature(held: HeldOut, unseen: HeldOut) -> dict[str, float]:
    """Before and after on test, and how far an implementation of its own is from ours."""
    temperature = fit_temperature(*held) or 1.0
    before, after = (
        measure(logits.double(), unseen.targets) for logits in (unseen.logits, unseen.logits / temperature)
    )
    found = {"temperature": temperature}
    for name in ("nll", "brier", "ece"):
        found |= {f"{name}/before": getattr(before, name), f"{name}/after": getattr(after, name)}
    if held.targets.dim() == 1:
        theirs = _independent(held, unseen)
        ours = (temperature, before.ece, before.brier)
        found["independent"] = max(abs(one - other) for one, other in zip(ours, theirs, strict=True))
    return found


def _independent(held: HeldOut, unseen: HeldOut) -> tuple[float, float, float]:
    """Temperature of dev by SciPy, and calibration error and Brier score of test in NumPy."""
    logits, right = held.logits.double().numpy(), held.targets.numpy()

    def nll(inverse: float) -> float:
        return -float(log_softmax(logits * inverse, axis=1)[np.arange(len(right)), right].mean())

    best = minimize_scalar(nll, bounds=(1e-3, 1e3), method="bounded", options={"xatol": 1e-12, "maxiter": 10_000})
    probabilities, right = softmax(unseen.logits.double().numpy(), axis=1), unseen.targets.numpy()
    top, hit = probabilities.max(1), probabilities.argmax(1) == right
    bins = np.clip(np.ceil(top * 15).astype(int) - 1, 0, 14)
    ece = sum(abs(top[bins == k].sum() - hit[bins == k].sum()) for k in range(15)) / len(top)
    brier = ((probabilities - np.eye(probabilities.shape[1])[right]) ** 2).sum(1).mean()
    return 1 / best.x, float(ece), float(brier)


def _promises(classifier: Classifier, held: HeldOut, unseen: HeldOut) -> dict[str, float]:
    """Coverage of label sets over random halves of test, and the risk on test of a threshold chosen on dev."""
    probabilities, right = unseen.logits.double().softmax(1), unseen.targets
    covered = []
    for number in range(SPLITS):
        order = torch.randperm(len(right), generator=torch.Generator().manual_seed(number))
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        quantile = conformal_quantile(probabilities[one], right[one], LEVEL)
        members = LabelSets(LEVEL, quantile).members(probabilities[other])
        covered.append(float(members.gather(1, right[other, None]).double().mean()))
    found = {"conformal/coverage": sum(covered) / SPLITS}
    try:
        decision = choose(classifier.labels, *held, Wanted(max_risk=RISK)).decision
    except InputError:  # dev tells of no threshold that keeps the risk
        return found | {"abstention/risk": 0.0, "abstention/coverage": 0.0}
    assert decision.abstention is not None
    calibrated = _calibrated(decision, unseen.logits)
    answered = calibrated.float().softmax(1).max(1).values > decision.abstention
    wrong = calibrated.argmax(1)[answered] != right[answered]
    return found | {
        "abstention/risk": float(wrong.double().mean()),
        "abstention/coverage": float(answered.double().mean()),
    }


def _calibrated(decision: Decision, logits: Tensor) -> Tensor:
    return decision.scaling.apply(logits.double()) if decision.scaling else logits.double()


def _thresholds(classifier: Classifier, held: HeldOut, unseen: HeldOut) -> dict[str, float]:
    """Macro and micro F1 on test at one half, and by thresholds chosen on dev."""
    decision = choose(classifier.labels, *held, Wanted(thresholds=Target("f1"))).decision
    assert decision.thresholds is not None
    cut = torch.tensor([decision.thresholds[name] for name in classifier.labels.names])
    tuned = _calibrated(decision, unseen.logits).float().sigmoid() >= cut
    found = {}
    for name, chosen in (("half", unseen.logits.sigmoid() >= 0.5), ("tuned", tuned)):
        scores = MultiLabelScores(classifier.labels)
        scores.update(chosen, unseen.targets)
        values = scores.compute()
        found |= {f"{metric}/{name}": float(values[metric]) for metric in ("f1_macro", "f1_micro")}
    return found


def compare_with_stock(model: Path, file: str, given: Path) -> dict[str, float]:
    """How far stock transformers is from our own answers.

    Returns:
        The largest distance of a probability, and of tags further in how many sentences a pipeline finds other
        entities, where it takes our words for words, and in how many it does not.
    """
    classifier = load_classifier(model)
    with Path(file).open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(ROWS), strict=False)]
    is_tags, pair = classifier.labels.kind == "tags", classifier.inputs.pair
    ours = classifier.predict(rows)
    inputs = [_input(row, is_tags=is_tags, pair=pair) for row in rows]
    given.write_text(json.dumps({"model": str(model), "tags": is_tags, "rows": inputs}), encoding="utf-8")
    command = [sys.executable, "-I", str(Path(__file__).with_name("_stock.py")), str(given)]
    theirs = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    both = list(zip(ours, theirs, strict=True))
    if not is_tags:
        return {"stock/difference": max(_labels_apart(*one) for one in both)}
    # a stock model has no window of its own, and goes on where ours has ended
    both = [one for one in both if None not in one[0]["probabilities"]]
    found = {"stock/difference": max(_tags_apart(*one) for one in both)}
    whole = [(one, other) for one, other in both if not other["split"]]
    entities = [_entities_apart(*one) for one in whole]
    same = [value for value in entities if value is not None]
    return found | {
        "stock/entities": max(same),
        "stock/other": float(len(whole) - len(same)),
        "stock/split": float(len(both) - len(whole)),
    }


def _input(row: dict[str, Any], *, is_tags: bool, pair: str | None) -> Any:
    """A row as a pipeline takes it."""
    if is_tags:
        return row["tokens"]
    return {"text": row["text"], "text_pair": row[pair]} if pair else row["text"]


def _labels_apart(ours: Any, theirs: Any) -> float:
    return max(abs(value - theirs[name]) for name, value in ours["probabilities"].items())


def _tags_apart(ours: Any, theirs: Any) -> float:
    """The largest distance of the probability of a word's tag; infinite for other tags."""
    words = zip(ours["tags"], ours["probabilities"], theirs["tags"], strict=True)
    return max(abs(one - other) if name == same else float("inf") for name, one, (same, other) in words)


def _entities_apart(ours: Any, theirs: Any) -> float | None:
    """The largest distance of the probability of an entity, the mean of its words', or None for other entities."""
    found = [
        (one["type"], float(np.mean(ours["probabilities"][one["start"] : one["end"]]))) for one in ours["entities"]
    ]
    if [name for name, _ in found] != [name for name, _ in theirs["entities"]]:
        return None
    return max((abs(one - other) for (_, one), (_, other) in zip(found, theirs["entities"], strict=True)), default=0.0)
