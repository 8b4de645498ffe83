"""Numbers → matplotlib figures, without pyplot and whatever it keeps: a figure is its caller's alone."""

from lightning_clf.figures.bars import draw_class_scores
from lightning_clf.figures.confusion import draw_confusion, draw_label_confusions
from lightning_clf.figures.curves import draw_precision_recall, draw_reliability
from lightning_clf.figures.scores import draw_agreement

__all__ = [
    "draw_agreement",
    "draw_class_scores",
    "draw_confusion",
    "draw_label_confusions",
    "draw_precision_recall",
    "draw_reliability",
]
