"""`lightning-clf calibrate`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.lines import say_written
from lightning_clf.cli.options import Parser, named_columns, share

if TYPE_CHECKING:
    from lightning_clf.calibration import Outcome
    from lightning_clf.decision import Scaling


def run(words: list[str]) -> None:
    """Calibrate a model on a file of held-out rows, and write it as a new folder.

    Raises:
        InputError: If an option, the model or a row is not as it should be.
    """
    options = _parser().parse_args(words)

    with importing():
        from lightning_clf.calibration import Target, Wanted
        from lightning_clf.inference import calibrate

    wanted = Wanted(
        options.method,
        None if options.thresholds is None else Target.parse(options.thresholds),
        options.max_risk,
        options.coverage,
        options.conformal,
    )
    outcome = calibrate(
        options.model,
        options.input,
        options.output,
        wanted,
        named_columns(options),
        batch_size=options.batch_size,
        device=options.device,
    )
    for remark in outcome.remarks:
        print(f"warning: {remark}", file=sys.stderr)
    print(table(outcome), end="")
    say_written(options.output)


def table(outcome: Outcome) -> str:
    """What a decision changes, for reading."""
    before, after = outcome.before, outcome.after
    kind = "that scaling has not seen" if outcome.unseen else "it was chosen on"
    lines = [f"{f'{outcome.rows} {outcome.unit} {kind}':<34}{'before':>10}{'after':>10}"]
    for name in ("nll", "brier", "ece", "aurc"):
        if getattr(before, name) is not None:
            lines.append(f"{name:<34}{getattr(before, name):>10.4f}{getattr(after, name):>10.4f}")
    for choice in outcome.decision.chosen_by:
        if choice.part != "scaling":
            name = f"{choice.part} {choice.target}: {choice.metric}"
            lines.append(f"{name:<34}{choice.before:>10.4f}{choice.after:>10.4f}")
    if (scaling := outcome.decision.scaling) is not None:
        lines.append(_said(scaling))
    return "\n".join(lines) + "\n"


def _said(scaling: Scaling) -> str:
    what = "a factor and a summand a label" if scaling.scale else f"temperature {scaling.temperature:.4g}"
    return what + (", in the weights of the last layer" if scaling.in_weights else ", beside the weights")


def _parser() -> Parser:
    parser = Parser(
        "calibrate",
        "Fit probabilities, thresholds, abstention and label sets to held-out rows; write the model anew.",
    )
    parser.add_model()
    parser.add_argument(
        "--input", required=True, help="a .jsonl, .csv, .tsv, .parquet or .conll file of labelled rows it never learnt"
    )
    parser.add_argument("--output", required=True, help="the folder to write, not that of the model")
    parser.add_argument(
        "--method",
        choices=("temperature", "vector", "none"),
        default="temperature",
        help="one divisor for all logits, a factor and a summand a label, or neither (default: temperature)",
    )
    parser.add_argument(
        "--thresholds",
        metavar="TARGET",
        help="for any number of labels, what thresholds are for: f1, precision=0.9, recall=0.9 or cost=FP:FN",
    )
    answers = parser.add_mutually_exclusive_group()
    answers.add_argument(
        "--max-risk",
        type=share,
        metavar="SHARE",
        help="abstain so that no more answers are wrong, with 95%% confidence",
    )
    answers.add_argument("--coverage", type=share, metavar="SHARE", help="abstain so that this share is answered")
    parser.add_argument(
        "--conformal", type=share, metavar="LEVEL", help="answer with sets of labels that hold the right one so often"
    )
    parser.add_batch_size()
    parser.add_columns(labelled=True)
    parser.add_device()
    return parser
