"""What a model does on rows whose answers are known, as a page to read and as JSON. Nothing of Lightning."""

from lightning_clf.reporting.comparing import compare
from lightning_clf.reporting.making import report

__all__ = ["compare", "report"]
