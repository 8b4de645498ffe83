"""Looking at data and configuration before any training: what data are, and what a fit of them would be."""

from lightning_clf.examine.doctor import examine, refused
from lightning_clf.examine.finding import Finding

__all__ = ["Finding", "examine", "refused"]
