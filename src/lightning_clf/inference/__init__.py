"""A trained classifier and what is done with it."""

from lightning_clf.inference.answered import Answered, Speed, answer_labelled
from lightning_clf.inference.calibrating import calibrate
from lightning_clf.inference.classifier import Classifier, load_classifier
from lightning_clf.inference.files import predict_file
from lightning_clf.inference.on_ray import RayEngine
from lightning_clf.inference.predictor import Predictor
from lightning_clf.inference.together import TaskClassifiers, load_predictor

__all__ = [
    "Answered",
    "Classifier",
    "Predictor",
    "RayEngine",
    "Speed",
    "TaskClassifiers",
    "answer_labelled",
    "calibrate",
    "load_classifier",
    "load_predictor",
    "predict_file",
]
