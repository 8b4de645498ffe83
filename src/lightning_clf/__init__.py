"""Fine-tune transformer encoders for classification with PyTorch Lightning, and carry the result the rest of the way.

The names below are imported when they are first used, so that `import lightning_clf` and the command's help cost
nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lightning_clf import auto

if TYPE_CHECKING:
    from lightning_clf.data import (
        CoNLL2003DataModule,
        FewShotDataModule,
        MultiLabelDataModule,
        MultiTaskDataModule,
        NLIDataModule,
        SequenceDataModule,
        SST2DataModule,
        TokenDataModule,
    )
    from lightning_clf.errors import InputError
    from lightning_clf.inference import load_classifier, load_predictor
    from lightning_clf.labels import LabelSpace
    from lightning_clf.modules import (
        MultiLabelClassifier,
        MultiTaskClassifier,
        SetFitClassifier,
        SimilarityRegressor,
        SingleLabelClassifier,
        TokenClassifier,
    )

_ROOMS = {
    "data": (
        "CoNLL2003DataModule",
        "FewShotDataModule",
        "MultiLabelDataModule",
        "MultiTaskDataModule",
        "NLIDataModule",
        "SST2DataModule",
        "SequenceDataModule",
        "TokenDataModule",
    ),
    "errors": ("InputError",),
    "inference": ("load_classifier", "load_predictor"),
    "labels": ("LabelSpace",),
    "modules": (
        "MultiLabelClassifier",
        "MultiTaskClassifier",
        "SetFitClassifier",
        "SimilarityRegressor",
        "SingleLabelClassifier",
        "TokenClassifier",
    ),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "CoNLL2003DataModule",
    "FewShotDataModule",
    "InputError",
    "LabelSpace",
    "MultiLabelClassifier",
    "MultiLabelDataModule",
    "MultiTaskClassifier",
    "MultiTaskDataModule",
    "NLIDataModule",
    "SST2DataModule",
    "SequenceDataModule",
    "SetFitClassifier",
    "SimilarityRegressor",
    "SingleLabelClassifier",
    "TokenClassifier",
    "TokenDataModule",
    "load_classifier",
    "load_predictor",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


auto.register()
