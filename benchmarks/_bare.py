"""A bare loop around the parts that a fit has, and a clock of what every training step needs, whoever runs it."""

import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning.pytorch import seed_everything
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from _corpora import KINDS, RECIPES, encoder, file
from lightning_clf import (
    CoNLL2003DataModule,
    MultiLabelClassifier,
    MultiLabelDataModule,
    SequenceDataModule,
    SingleLabelClassifier,
    TokenClassifier,
)
from lightning_clf.cpu import CheapStep, RowGradients, take_memory
from lightning_clf.data import BaseDataModule
from lightning_clf.finetuning import LinearSchedule, adamw
from lightning_clf.modules import ClassifierModule

NEEDED = ("forward", "backward", "optimiser")


class Clock:
    """Adds up the seconds of what every step needs: `forward` with the loss, `backward`, and `optimiser` with clipping.

    Only the functions that compute are timed, which a fit and a bare loop share; all around them is `outside`.
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Count from now on."""
        self.seconds = dict.fromkeys(NEEDED, 0.0)
        self._started = time.perf_counter()

    def read(self) -> dict[str, float]:
        """Returns the seconds of each part since the start, `outside` among them, and of the whole `step`."""
        whole = time.perf_counter() - self._started
        return {**self.seconds, "outside": whole - sum(self.seconds.values()), "step": whole}

    def time(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function with its time added to a part."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[part] += time.perf_counter() - started

        return timed

    def time_step(self, optimizer: Optimizer) -> None:
        """Have an optimiser's steps timed, without what a closure does meanwhile."""
        step = optimizer.step

        @functools.wraps(step)  # a schedule looks for its mark
        def timed(closure: Callable[[], Any] | None = None) -> Any:
            before, within = time.perf_counter(), 0.0

            def counted() -> Any:
                nonlocal within
                started = time.perf_counter()
                loss = closure() if closure is not None else None
                within = time.perf_counter() - started
                return loss

            loss = step(closure if closure is None else counted)
            self.seconds["optimiser"] += time.perf_counter() - before - within
            return loss

        optimizer.step = timed  # type: ignore[method-assign]


def parts(corpus: str) -> tuple[ClassifierModule, BaseDataModule[Any]]:
    """The module of a corpus with its network built, and its data ready for a fit, by the peer's recipe."""
    recipe, kind = RECIPES[corpus], KINDS[corpus]
    options: dict[str, Any] = {
        "source": {"train": str(file(corpus, "train")), "val": str(file(corpus, "test"))},
        "batch_size": recipe.batch_size,
        "max_length": recipe.max_length,
        "cache_dir": tempfile.mkdtemp(),  # of a process that is soon over
    }
    module: ClassifierModule
    data: BaseDataModule[Any]
    if kind == "tags":
        module, data = TokenClassifier(str(encoder())), CoNLL2003DataModule(**options)
    elif kind == "multi":
        module, data = MultiLabelClassifier(str(encoder())), MultiLabelDataModule(**options)
    else:
        module, data = SingleLabelClassifier(str(encoder())), SequenceDataModule(**options)
    data.tokenizer = module.tokenizer
    data.prepare_data()
    data.setup("fit")
    module.labels = data.labels
    module.build()
    take_memory(module)
    return module.train(), data


def steps(corpus: str, clock: Clock) -> Iterator[None]:
    """Train in a loop without a Trainer, metrics or logs, and stop after every step.

    Args:
        corpus: A key of ``RECIPES``.
        clock: Times what each step needs.
    """
    seed_everything(0, verbose=False)
    recipe, (module, data) = RECIPES[corpus], parts(corpus)
    optimizer = adamw(module, recipe.learning_rate, recipe.weight_decay)
    loader = data.train_dataloader()
    total = 1000 * len(loader)
    warmup = round(recipe.warmup_ratio * total)
    factor = LinearSchedule().factor
    schedule = LambdaLR(optimizer, lambda step: factor(step, warmup, total))
    cheap_step = CheapStep(RowGradients(), module)
    clock.time_step(optimizer)
    clip, score = clock.time("optimiser", cheap_step.clip_gradients), clock.time("forward", module.score)
    while True:
        for batch in loader:
            with cheap_step, torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
                _, terms = score(batch)
            clock.time("backward", terms.mean.backward)()
            clip(optimizer, recipe.max_gradient_norm)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            yield
