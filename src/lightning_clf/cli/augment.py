"""`lightning-clf augment`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_clf.cli.asking import add_endpoint, endpoint_of, refuse_without_endpoint, resumable
from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.lines import counted, say_written
from lightning_clf.cli.options import Parser, amount, count, named_columns, positive, share
from lightning_clf.errors import InputError
from lightning_clf.files import check_apart

if TYPE_CHECKING:
    from lightning_clf.language_models import LanguageModel, Prices, Usage
    from lightning_clf.language_models.augment import Estimate
    from lightning_clf.language_models.corpus import Corpus
    from lightning_clf.language_models.making import Maker
    from lightning_clf.language_models.sifting import Sieve

_MAX_TOKENS_OF_ROWS, _MAX_TOKENS_OF_LABELS = 1024, 128


def run(words: list[str]) -> None:
    """Make new rows of rare labels, or label rows that have none.

    Raises:
        InputError: If an option or a row is not as it should be, or the language model cannot be asked.
    """
    options = _parser().parse_args(words)
    _check(options)

    with importing():
        from lightning_clf.language_models.corpus import read_corpus

    corpus = read_corpus(options.data, named_columns(options))
    (_ask if options.reviewed is None else _take_reviewed)(options, corpus)


def _check(options: argparse.Namespace) -> None:
    """What options can be held against each other, before anything is read."""
    _check_files(options)
    if options.reviewed is not None:
        return
    if options.model is None:
        raise InputError("--model is missing: name the endpoint's model, or a causal model here")
    if options.endpoint is None:
        refuse_without_endpoint(options)
    if options.endpoint is not None and options.device is not None:
        raise InputError("--device is of a model that runs here: leave it out, or --endpoint")
    if options.limit_cost is not None and not (options.price_in or options.price_out):
        raise InputError("--limit-cost needs prices: give --price-in and --price-out, of a million tokens")
    if options.unlabelled is not None and (options.rows or options.ratio or options.labels):
        raise InputError("--unlabelled is to label rows, and --rows, --ratio and --labels to make them: leave one out")


def _check_files(options: argparse.Namespace) -> None:
    """No file is written that is read, nor two under one name."""
    with importing():
        from lightning_clf.language_models.augment import Files

    read = [options.data, options.unlabelled, options.prompt, options.reviewed, *options.held_out]
    files = Files(Path(options.output))
    written = [("--output", path) for path in (files.output, files.dropped, files.replies)]
    if options.review is not None:
        written.append(("--review", Path(options.review)))
    for place, (option, path) in enumerate(written):
        check_apart(option, path, [*read, *(other for _, other in written[:place])])


def _take_reviewed(options: argparse.Namespace, corpus: Corpus) -> None:
    """Make rows of a table; what a person wrote in it may be like a row that is there, too."""
    from lightning_clf.language_models.augment import Files, write_rows
    from lightning_clf.language_models.review import read_review

    files = Files(Path(options.output))
    if files.replies.exists():
        raise InputError(f"--output would write over the rows that {files.replies} belongs to: name another file")
    sieve = _sieve(options, corpus)
    for row in read_review(options.reviewed, corpus):
        if sieve.admit(row[corpus.text_column], f"kept row {len(sieve.rows) + 1}", row):
            sieve.rows.append(row)
    write_rows(files.dropped, sieve.dropped)
    write_rows(files.output, sieve.rows)
    _say_taken(files.output, sieve)


def _ask(options: argparse.Namespace, corpus: Corpus) -> None:
    from lightning_clf.language_models import Budget, Journal, Prices
    from lightning_clf.language_models.augment import Files, ask, estimate, refuse_beyond, write_rows
    from lightning_clf.language_models.review import refuse_edited, write_review

    if options.review is not None:
        refuse_edited(Path(options.review))
    maker, sieve = _maker(options, corpus)
    model, calls = _model(options), maker.round()
    prices = Prices(options.price_in, options.price_out)
    files = Files(Path(options.output))
    if options.estimate and not (options.resume and files.replies.exists()):
        _print_estimate(estimate(calls, model, None), prices)
        return
    budget = None if options.limit_cost is None else Budget(prices, options.limit_cost)
    with Journal(files.replies, resume=options.resume, budget=budget) as journal:
        found = estimate(calls, model, journal)
        _print_estimate(found, prices)
        if options.estimate:
            return
        refuse_beyond(options.limit_cost, found, prices, journal.spent)
        with resumable():
            ask(maker, calls, model, journal)
        spent, new = journal.spent, journal.spent - journal.found
    write_rows(files.dropped, sieve.dropped)
    if options.review is not None:
        write_review(Path(options.review), sieve.rows, corpus)
    write_rows(files.output, sieve.rows)
    _print_end(files.output, sieve, _cost(spent, prices), _cost(new, prices))


def _model(options: argparse.Namespace) -> LanguageModel:
    from lightning_clf.language_models import CausalLM

    if options.endpoint is None:
        return CausalLM(options.model, options.device or "cpu")
    return endpoint_of(options, options.model)


def _maker(options: argparse.Namespace, corpus: Corpus) -> tuple[Maker, Sieve]:
    """What asks, and what takes the texts, as the options say which."""
    from lightning_clf.language_models.augment import wanted_rows
    from lightning_clf.language_models.corpus import read_texts
    from lightning_clf.language_models.making import Labels, NewRows, Wording
    from lightning_clf.language_models.template import Template

    is_labelling = options.unlabelled is not None
    labels = "many_labels.txt" if corpus.is_multi else "one_label.txt"
    shipped, needed = (labels, "text") if is_labelling else ("rows.txt", "label")
    wording = Wording(
        Template.read(options.prompt, shipped, needed),
        options.model,
        options.examples,
        options.max_tokens or (_MAX_TOKENS_OF_LABELS if is_labelling else _MAX_TOKENS_OF_ROWS),
        options.temperature,
        options.seed,
    )
    wanted = {} if is_labelling else wanted_rows(corpus.counts, options.labels, options.rows, options.ratio)
    sieve = _sieve(options, corpus)
    if is_labelling:
        return Labels(corpus, read_texts(options.unlabelled, corpus.text_column), wording, sieve), sieve
    return NewRows(corpus, wanted, wording, options.at_once, sieve), sieve


def _sieve(options: argparse.Namespace, corpus: Corpus) -> Sieve:
    from lightning_clf.language_models.corpus import read_texts
    from lightning_clf.language_models.sifting import Sieve

    held_out = [(text, where) for file in options.held_out for text, where, _ in read_texts(file, corpus.text_column)]
    return Sieve(options.similarity, corpus.texts, held_out)


def _print_estimate(found: Estimate, prices: Prices) -> None:
    about, most = found.about, found.most
    paid = f"; {found.paid} more {'is' if found.paid == 1 else 'are'} paid already" if found.paid else ""
    print(
        f"estimate: {counted(about.calls, 'request')}, {about.tokens_in} tokens in, about {about.tokens_out} out and "
        f"{most.tokens_out} at most{_price(about, most, prices)}{paid}",
        flush=True,
    )


def _price(about: Usage, most: Usage, prices: Prices) -> str:
    return f": {prices.of(about):.4f} to {prices.of(most):.4f}" if prices.of(most) else ""


def _cost(usage: Usage, prices: Prices) -> str:
    price = f", {prices.of(usage):.4f}" if prices.of(usage) else ""
    replies = f"{usage.calls} {'reply' if usage.calls == 1 else 'replies'}"
    return f"{replies}, {usage.tokens_in} tokens in, {usage.tokens_out} out{price}"


def _say_taken(output: Path, sieve: Sieve) -> None:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sieve.reasons().items())
    say_written(output, len(sieve.rows), f"; dropped {len(sieve.dropped)}{f' ({reasons})' if reasons else ''}")
    if not sieve.rows:
        print("warning: no row is left: see what was dropped", file=sys.stderr)


def _print_end(output: Path, sieve: Sieve, spent: str, new: str) -> None:
    _say_taken(output, sieve)
    print(f"in all {spent}; in this run {new}")


def _parser() -> Parser:
    parser = Parser(
        "augment",
        "Ask a language model for new rows of rare labels, or for labels of rows that have none. Needs the extra llm.",
    )
    parser.add_argument("--data", required=True, help="labelled rows: a .jsonl, .csv, .tsv or .parquet file")
    parser.add_argument("--output", required=True, help="the .jsonl file to write new rows to")
    what = parser.add_argument_group("what is asked for")
    what.add_argument("--labels", nargs="+", metavar="LABEL", help="labels to make rows of (default: by --ratio)")
    what.add_argument("--rows", type=positive, help="new rows of each of --labels")
    what.add_argument("--ratio", type=share, help="bring labels up to this share of the commonest label's rows")
    what.add_argument("--unlabelled", metavar="FILE", help="rows to label, in place of making new ones")
    what.add_argument("--held-out", nargs="+", default=[], metavar="FILE", help="dev and test: no row like theirs")
    what.add_argument(
        "--similarity", type=share, default=0.7, help="Jaccard similarity from which texts count as one (default: 0.7)"
    )
    whom = parser.add_argument_group("whom to ask, and how")
    add_endpoint(whom, "what stands before /chat/completions (default: run it here)", tries=6)
    whom.add_argument("--model", help="the model's name there, or the folder or hub id of a causal model to run here")
    whom.add_argument("--prompt", metavar="FILE", help="a text with {label} {labels} {examples} {text} {count}")
    whom.add_argument("--examples", type=count, default=8, help="rows of --data in a prompt (default: 8)")
    whom.add_argument("--at-once", type=positive, default=5, help="new rows asked for in one request (default: 5)")
    whom.add_argument("--max-tokens", type=positive, help="tokens of a reply (default: 1024 for rows, 128 for labels)")
    whom.add_argument("--temperature", type=amount, help="how freely words are drawn (default: left to the model)")
    whom.add_argument("--seed", type=count, default=0, help="which rows prompts show (default: 0)")
    parser.add_device()
    cost = parser.add_argument_group("cost")
    cost.add_argument("--price-in", type=amount, default=0.0, help="the price of a million tokens asked")
    cost.add_argument("--price-out", type=amount, default=0.0, help="the price of a million tokens replied")
    cost.add_argument("--limit-cost", type=amount, help="the most that may be spent, with what was spent before")
    cost.add_argument("--estimate", action="store_true", help="print what it would cost, and ask nothing")
    cost.add_argument("--resume", action="store_true", help="use the replies that were paid for, and go on")
    review = parser.add_argument_group("review")
    review.add_argument("--review", metavar="FILE", help="write the rows as a .csv table to edit too")
    review.add_argument("--reviewed", metavar="FILE", help="ask nothing: sift the rows of a table that was edited")
    parser.add_columns(labelled=True)
    return parser
