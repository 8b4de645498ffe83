"""What stock `transformers` answers from an export folder, in a process that cannot import this library.

Run as `python -I _stock.py FILE`: reads `model`, `tags` and `rows` from the file, and prints what a pipeline answers
each row as JSON: a probability by label, or entities.
"""

import importlib.abc
import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any


class Absent(importlib.abc.MetaPathFinder):
    """Makes this library one that is not installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Refuse to find it."""
        if name.partition(".")[0] == "lightning_clf":
            raise ModuleNotFoundError(name)
        return None


def main() -> None:
    """Answer."""
    sys.meta_path.insert(0, Absent())
    from transformers import pipeline

    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answers: list[Any]
    if given["tags"]:
        pipe = pipeline("token-classification", model=given["model"], aggregation_strategy="first", device="cpu")
        answers = [
            [[entity["entity_group"], float(entity["score"])] for entity in pipe([row], is_split_into_words=True)[0]]
            for row in given["rows"]
        ]
    else:
        pipe = pipeline("text-classification", model=given["model"], top_k=None, truncation=True, device="cpu")
        answers = [{item["label"]: item["score"] for item in pipe([row])[0]} for row in given["rows"]]
    assert "lightning_clf" not in sys.modules
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
