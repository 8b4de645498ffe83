"""Where a model comes from, as far as what lies beside it tells: its configuration, and how it was scored."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CONFIG = "config.yaml"
_METRICS, _WEIGHTS = "_metrics.json", "_weights.json"
# an absolute path, one from a user's home, or one that climbs; at the beginning of a string, or where a value begins
# in it; addresses of the web have their slashes behind letters
_PATH = re.compile(r"""(^|[\s=,"'(\[{]|file:/*(?=/))(?:~[\w.-]*|\.{1,2}|[A-Za-z]:)?[/\\][^\s,"')\]}]*""")
_USER = re.compile(r"(?<=://)[^/\s@]*@")  # a name and a password


@dataclass(frozen=True)
class Provenance:
    """What is known of how a model was made.

    Attributes:
        config: The configuration that trained it, in YAML, without paths of the machine and without loggers.
        metrics: The scores of these very weights on the test split, by their public names.
    """

    config: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)


def find_provenance(model: str, weights: str | None) -> Provenance:
    """Look into an export folder, and into the run folder that a checkpoint or an export lies in.

    Args:
        model: The checkpoint or folder. What cannot be read as what it should be is passed over.
        weights: The digest of the weights whose scores are wanted: a run folder may have those of another checkpoint
            too. `None` wants none.
    """
    path = Path(model).absolute()
    places = [*([path] if path.is_dir() else []), path.parent]
    configs = (_configuration(place / CONFIG) for place in places)
    metrics = (_metrics(place, weights) for place in places)
    return Provenance(next(filter(None, configs), None), next(filter(None, metrics), {}))


def without_paths(value: Any) -> Any:
    """Primitives with every path of a machine cut to its last name, and without what addresses have before an `@`."""
    if isinstance(value, dict):
        return {without_paths(key): without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_paths(inner) for inner in value]
    return _PATH.sub(_last_name, _USER.sub("", value)) if isinstance(value, str) else value


def _last_name(match: re.Match[str]) -> str:
    path = match[0].removeprefix(match[1])
    before = "" if match[1].startswith("file:") else match[1]
    return before + re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _configuration(file: Path) -> str | None:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
    if not isinstance(content, dict) or not {"model", "data"} <= content.keys():
        return None
    if isinstance(trainer := content.get("trainer"), dict):
        trainer.pop("logger", None)  # says nothing of the model, and may hold addresses and keys
    return yaml.safe_dump(without_paths(content), sort_keys=False, allow_unicode=True)


def _metrics(folder: Path, weights: str | None) -> dict[str, float]:
    """The scores of some weights, the last where they were scored more than once."""
    scored = [] if weights is None else folder.glob(f"test*{_WEIGHTS}")
    own = [file for file in scored if _mapping(file).get("sha256") == weights]
    if not own:
        return {}
    last = max(own, key=lambda file: file.stat().st_mtime)
    content = _mapping(last.with_name(last.name.removesuffix(_WEIGHTS) + _METRICS))
    return {name: value for name, value in content.items() if isinstance(value, int | float) and name.count("/") == 1}


def _mapping(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
