"""A trained classifier behind HTTP. Needs the extra `serve`."""

from lightning_clf.serving.app import make_app
from lightning_clf.serving.limits import Limits
from lightning_clf.serving.server import bind, serve
from lightning_clf.serving.service import Service

__all__ = ["Limits", "Service", "bind", "make_app", "serve"]
