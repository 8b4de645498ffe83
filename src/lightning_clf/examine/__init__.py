"""Looking at data and configuration before any training: what data are, and what a fit of them would be."""

from lightning_clf.examine.config import configuration, guess_source
from lightning_clf.examine.doctor import examine, refused
from lightning_clf.examine.finding import Finding
from lightning_clf.examine.guess import Guess

__all__ = ["Finding", "Guess", "configuration", "examine", "guess_source", "refused"]
