"""A model as the folder that the package `setfit` reads, pickle and all."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import PretrainedConfig

from lightning_clf.artefact import Artefact
from lightning_clf.batch import Batch
from lightning_clf.errors import InputError, a_type, need
from lightning_clf.heads import EmbeddingHead
from lightning_clf.network import quiet_transformers
from lightning_clf.scorer import Runnable, Scorer

if TYPE_CHECKING:
    from setfit import SetFitModel

HEAD = "model_head.pkl"
"""The file that holds scikit-learn's objects."""
PICKLE_WARNING = (
    f"{HEAD} is a pickle, as the package setfit has it, and whoever loads a pickle runs what is in it: hand it on only "
    "to those who trust you, or give them the hf export, which holds none"
)

_CONFIG = "config_setfit.json"
_POOLINGS = {"mean": "mean", "cls": "cls", "max": "max", "last": "lasttoken"}


def check_setfit(artefact: Artefact) -> None:
    """Refuse what the package has no place for, before anything is written.

    Raises:
        InputError: If the head is another, the input is pairs or read in windows, something was decided after
            training, or the packages are missing.
    """
    head, instead = artefact.network.head, "export it as hf"
    if not isinstance(head, EmbeddingHead) or (head.pooling_name or "mean") not in _POOLINGS:
        pooling = f" with pooling {head.pooling_name}" if isinstance(head, EmbeddingHead) else ""
        raise InputError(
            f"the package setfit reads embeddings with a linear layer, and this model has {a_type(head)}"
            f"{pooling}: {instead}"
        )
    if "text_pair" in artefact.columns:
        raise InputError(f"the package setfit reads one text a row, and this model pairs of texts: {instead}")
    if artefact.stride is not None:
        raise InputError(f"the package setfit cuts long texts off, and this model reads them in windows: {instead}")
    if artefact.decision.to_dict():
        raise InputError(
            "the package setfit has no place for what calibrate has decided: give the model as it was before, or "
            f"{instead}"
        )
    need("setfit", "--format setfit needs", "setfit")  # it brings sentence-transformers and joblib


def write_setfit(artefact: Artefact, folder: Path) -> None:
    """Write the files of the package: body, head and labels.

    Args:
        artefact: A model that `check_setfit` lets pass.
        folder: A folder that is there.

    Raises:
        OSError: If the disk is full.
    """
    import joblib
    from sentence_transformers import SentenceTransformer

    with warnings.catch_warnings():  # where older versions have them, newer ones call deprecated
        warnings.filterwarnings("ignore", "Importing from 'sentence_transformers.models' is deprecated")
        from sentence_transformers.models import Normalize, Pooling, Transformer

    head = artefact.network.head
    assert isinstance(head, EmbeddingHead)
    with tempfile.TemporaryDirectory() as own, _quiet():
        artefact.network.encoder.save_pretrained(own)
        artefact.tokenizer.save_pretrained(own)
        transformer = Transformer(own, max_seq_length=artefact.max_length)
    modules = [transformer, Pooling(head.output.in_features, _POOLINGS[head.pooling_name or "mean"])]
    modules += [Normalize()] if head.normalize else []
    with _quiet():
        SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)
    joblib.dump(_estimator(head, several=artefact.labels.kind == "multi"), folder / HEAD)
    config = {"labels": list(artefact.labels.names), "normalize_embeddings": False}  # a module of the body does
    (folder / _CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _estimator(head: EmbeddingHead, *, several: bool) -> Any:
    """Scikit-learn's classifier with the layer's coefficients."""
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import LabelBinarizer

    weight = head.output.weight.detach().double().numpy()
    bias = head.output.bias.detach().double().numpy()
    if several:
        made = OneVsRestClassifier(_regression(weight[:1], bias[:1]))
        made.estimators_ = [_regression(weight[row : row + 1], bias[row : row + 1]) for row in range(len(bias))]
        made.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(np.eye(len(bias), dtype=int))
        return made
    if len(bias) == 2:
        return _regression(weight[1:] - weight[:1], bias[1:] - bias[:1])
    return _regression(weight, bias)


def _regression(weight: Any, bias: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    made = LogisticRegression()
    made.coef_, made.intercept_, made.n_features_in_ = weight, bias, weight.shape[1]
    made.classes_ = np.arange(max(2, len(bias)))
    return made


class SetFitScorer(Scorer):
    """What the package makes of its folder, asked for probabilities.

    Args:
        model: The model as the package has read it.
        artefact: What it was made of, whose head decodes.
    """

    def __init__(self, model: SetFitModel, artefact: Artefact) -> None:
        super().__init__(artefact.network.head, artefact.labels)
        self.body, self.estimator = model.model_body.eval(), model.model_head
        self._config = artefact.network.config

    @property
    def config(self) -> PretrainedConfig:
        """The configuration of the encoder."""
        return self._config

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    def forward(self, batch: Batch) -> Tensor:
        """Logits `[B,C]` whose softmax, or sigmoid, is the package's probability."""
        embedded = self.body(dict(batch.inputs))["sentence_embedding"]
        probabilities = torch.from_numpy(self.estimator.predict_proba(embedded.double().numpy()))
        several = self.labels.kind == "multi"
        logits: Tensor = probabilities.logit() if several else probabilities.log()
        return logits.float()


def read_setfit(folder: Path, artefact: Artefact) -> Runnable:
    """Read a folder that `write_setfit` has just written, by the package itself.

    Args:
        folder: The folder, whose pickle is loaded.
        artefact: What it was made of.
    """
    from setfit import SetFitModel

    with _quiet():
        model = SetFitModel.from_pretrained(str(folder), device="cpu", local_files_only=True)
    return Runnable(SetFitScorer(model, artefact), artefact.tokenizer, artefact.max_length, artefact.columns)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back bars and what the packages say of loading."""
    logger = logging.getLogger("sentence_transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with quiet_transformers():
            yield
    finally:
        logger.setLevel(level)
