"""A trained classifier and what is done with it."""

from lightning_clf.inference.answered import Answered, Speed, answer_labelled
from lightning_clf.inference.calibrating import calibrate
from lightning_clf.inference.classifier import Classifier, load_classifier
from lightning_clf.inference.files import predict_file
from lightning_clf.inference.on_ray import RayEngine

__all__ = [
    "Answered",
    "Classifier",
    "RayEngine",
    "Speed",
    "answer_labelled",
    "calibrate",
    "load_classifier",
    "predict_file",
]
