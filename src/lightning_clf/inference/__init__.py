"""A trained classifier and what is done with it."""

from lightning_clf.inference.answered import Answered, Speed, answer_labelled
from lightning_clf.inference.calibrating import calibrate
from lightning_clf.inference.classifier import Classifier, load_classifier
from lightning_clf.inference.files import predict_file

__all__ = ["Answered", "Classifier", "Speed", "answer_labelled", "calibrate", "load_classifier", "predict_file"]
