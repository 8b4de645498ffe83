"""Tiny tasks on one encoder, and a fit of several."""

from __future__ import annotations

import copy
from dataclasses import replace

from lightning.pytorch import Callback, seed_everything

from lightning_clf import MultiTaskClassifier, MultiTaskDataModule
from lightning_clf.callbacks import BestCheckpoint
from lightning_clf.together import TaskArtefacts
from tests.training import ROWS, make_data, make_trainer

JOINT = [{**tags, "intent": single["label"]} for tags, single in zip(ROWS["tags"], ROWS["single"], strict=True)]


def make_tasks(*kinds, options=None, **own):
    return MultiTaskDataModule({kind: make_data(kind, **own) for kind in kinds}, **(options or {}))


def intent_and_slots(first=8, **options):
    """Sentences with both labels, but for those from a number on, which have the slots alone."""
    rows = [row if number < first else {**row, "intent": None} for number, row in enumerate(JOINT)]
    return MultiTaskDataModule(
        {
            "slots": make_data("tags", rows),
            "intent": make_data("single", rows, text_column="tokens", label_column="intent"),
        },
        joint=True,
        **options,
    )


class Steps(Callback):
    """What each step was given, and how often the encoder was called for it."""

    def __init__(self, folder=None):
        self.seen, self.calls, self.folder = [], [], folder

    def on_train_start(self, trainer, pl_module):
        pl_module.encoder.register_forward_hook(lambda *_: self.calls.append(1))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen.append([{name: one.example_ids.tolist() for name, one in group.items()} for group in batch.groups])
        if self.folder:
            trainer.save_checkpoint(self.folder / f"step{trainer.global_step}.ckpt")


def fit(encoder, folder, data, checkpoint=None, save=False, seed=0, model=None, **options):
    seed_everything(seed, verbose=False)
    steps, best = Steps(folder if save else None), BestCheckpoint()
    trainer = make_trainer(folder, enable_checkpointing=True, callbacks=[best, steps], **options)
    module = MultiTaskClassifier(str(encoder), learning_rate=1e-3, **(model or {}))
    trainer.fit(module, data, ckpt_path=checkpoint)
    return trainer, module, steps


def untrained(classifier, *names):
    """The tasks of classifiers that were made on one encoder, on it together, with the tokenizer that taggers need."""
    tokenizer = classifier("tags").artefact.tokenizer
    parts = {name: replace(copy.deepcopy(classifier(name).artefact), tokenizer=tokenizer) for name in names}
    return TaskArtefacts.under(parts.items())
