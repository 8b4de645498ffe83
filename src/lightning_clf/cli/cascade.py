"""`lightning-clf cascade`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_clf.cli.asking import add_endpoint, endpoint_of, resumable
from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.lines import say_written
from lightning_clf.cli.options import Parser, amount, named_columns
from lightning_clf.errors import printable

if TYPE_CHECKING:
    from lightning_clf.language_models.cascading import Chosen


def run(words: list[str]) -> None:
    """Choose from which confidence on a model answers by itself, and write it as a new folder.

    Raises:
        InputError: If an option, the model or a row is not as it should be, or the language model cannot be asked.
    """
    options = _parser().parse_args(words)

    with importing():
        from lightning_clf.language_models.cascading import Terms, make_cascade
        from lightning_clf.language_models.template import read_prompt

    prompt = None if options.prompt is None else read_prompt(options.prompt)
    with resumable():
        chosen = make_cascade(
            options.model,
            options.input,
            options.output,
            endpoint_of(options, options.language_model),
            options.endpoint,
            Terms(options.price_per_call, options.price_per_error, prompt),
            Path(options.replies or f"{Path(options.output)}.replies.jsonl"),  # beside it, also of `new/`
            named_columns(options),
            resume=options.resume,
            estimate=options.estimate,
            batch_size=options.batch_size,
            device=options.device,
            say=lambda line: print(line, flush=True),
            warn=lambda line: print(f"warning: {printable(line)}", file=sys.stderr, flush=True),
        )
    if chosen is None:
        return
    if chosen.unusable:
        print(
            f"warning: {chosen.unusable} of {chosen.rows} replies cannot be used: there the classifier's own answers "
            "count, as they will",
            file=sys.stderr,
        )
    print(table(chosen), end="")
    say_written(options.output)


def table(chosen: Chosen) -> str:
    """What both cost alone, and together by the chosen threshold, for reading."""
    cascade, curve = chosen.cascade, chosen.cascade.curve
    places = {"classifier": 0, "language model": -1, "cascade": chosen.place}
    lines = [f"{f'{chosen.rows} rows':<14}" + "".join(f"{name:>16}" for name in places)]
    for name, values in (
        ("risk", curve.risk),
        ("calls", curve.asked),
        ("cost", [cascade.cost(*each) for each in zip(curve.asked, curve.risk, strict=True)]),
    ):
        lines.append(f"{name:<14}" + "".join(f"{values[place]:>16.4f}" for place in places.values()))
    where = f"asked about where the confidence is no more than {cascade.threshold:.6g}"
    lines.append("asking never pays at these prices: the classifier answers alone" if cascade.asks_none else where)
    return "\n".join(lines) + "\n"


def _parser() -> Parser:
    parser = Parser(
        "cascade",
        "Choose below which confidence a language model is asked in the model's place, for a price per call and one "
        "per error; write the model anew. Every held-out row is asked about once. Needs the extra llm.",
    )
    parser.add_model()
    parser.add_argument(
        "--input", required=True, help="a .jsonl, .csv, .tsv or .parquet file of labelled rows it never learnt"
    )
    parser.add_argument("--output", required=True, help="the folder to write, not that of the model")
    add_endpoint(parser, "what stands before /chat/completions, such as http://127.0.0.1:8000/v1", required=True)
    parser.add_argument("--language-model", required=True, metavar="NAME", help="its name at the endpoint")
    parser.add_argument("--price-per-call", type=amount, required=True, help="what asking about one row costs")
    parser.add_argument(
        "--price-per-error",
        type=amount,
        required=True,
        help="what one wrong answer costs, in the same currency",
    )
    parser.add_argument("--prompt", metavar="FILE", help="what is said before a text (default: names the labels)")
    parser.add_argument("--replies", metavar="FILE", help="what keeps replies (default: OUTPUT.replies.jsonl)")
    parser.add_argument("--estimate", action="store_true", help="say what asking would cost, and ask nothing")
    parser.add_argument("--resume", action="store_true", help="use the replies that were paid for, and go on")
    parser.add_batch_size()
    parser.add_columns(labelled=True)
    parser.add_device()
    return parser
