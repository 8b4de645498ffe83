"""A trained classifier written for others: stock `transformers`, onnxruntime, the Hugging Face hub."""

from lightning_clf.exporting.card import FORMATS, Format
from lightning_clf.exporting.checking import Comparison, Side
from lightning_clf.exporting.exporter import Export, export
from lightning_clf.exporting.hub import check_repository, push
from lightning_clf.exporting.setfit_folder import PICKLE_WARNING

__all__ = ["FORMATS", "PICKLE_WARNING", "Comparison", "Export", "Format", "Side", "check_repository", "export", "push"]
