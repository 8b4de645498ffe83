"""Exports with heads of this library, for the Auto classes of `transformers`.

Registering imports `transformers`, which takes seconds; `import lightning_clf` takes none. So whoever has imported the
Auto classes before finds them told at once, and whoever imports them later finds them told then.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

__all__ = ["register"]

_AUTO = "transformers.models.auto.modeling_auto"


def register() -> None:
    """Tell the Auto classes, now or when they are imported."""
    if _AUTO in sys.modules:
        _tell()
    elif not any(isinstance(finder, _Waiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Waiting())


def _tell() -> None:
    importlib.import_module(f"{__name__}.models")


class _Waiting(MetaPathFinder):
    """Has the Auto classes told as soon as they are there, and leaves."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the one module that is waited for where it would be found anyway."""
        if name != _AUTO:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_tell(module: ModuleType) -> None:
            execute(module)
            _tell()

        spec.loader.exec_module = execute_and_tell  # type: ignore[method-assign]
        return spec
