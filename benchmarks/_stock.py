"""What stock `transformers` answers from an export folder, in a process that cannot import this library.

Run as `python -I _stock.py FILE`: reads `model`, `tags` and `rows` from the file, and prints what it answers each row
as JSON. Of a text that is a probability by label, by a pipeline. Of words it is what the model makes of each word's
first subword, and the entities of a pipeline, which takes for words what a tokenizer of word pieces splits at
punctuation.
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
    if given["tags"]:
        pipe = pipeline("token-classification", model=given["model"], aggregation_strategy="first", device="cpu")
        answers = [_tags(pipe, row) for row in given["rows"]]
    else:
        pipe = pipeline("text-classification", model=given["model"], top_k=None, truncation=True, device="cpu")
        answers = [{item["label"]: item["score"] for item in pipe([row])[0]} for row in given["rows"]]
    assert "lightning_clf" not in sys.modules
    print(json.dumps(answers))


def _tags(pipe: Any, words: list[str]) -> dict[str, Any]:
    """Entities with their scores, tags of words with theirs, and whether a word is several to the pipeline."""
    import torch

    entities = pipe([words], is_split_into_words=True)[0]
    encoded = pipe.tokenizer(words, is_split_into_words=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        best = pipe.model(**encoded).logits[0].softmax(-1).max(-1)
    of_word = encoded.word_ids()
    begins = [place for place, word in enumerate(of_word) if word is not None and word != of_word[place - 1]]
    pieces = encoded.tokens()
    return {
        "entities": [[entity["entity_group"], float(entity["score"])] for entity in entities],
        "tags": [[pipe.model.config.id2label[int(best.indices[place])], float(best.values[place])] for place in begins],
        "split": any(
            word is not None and place not in begins and not pieces[place].startswith("##")
            for place, word in enumerate(of_word)
        ),
    }


if __name__ == "__main__":
    main()
