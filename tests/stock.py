"""What stock `transformers` makes of export folders, in a process that cannot import this library.

Run as `python -I stock.py FOLDER`: reads `cases.json` and `inputs.safetensors` there, writes `answers.json` and
`logits.safetensors`.
"""

from __future__ import annotations

import importlib.abc
import json
import sys
from pathlib import Path


class Absent(importlib.abc.MetaPathFinder):
    """Makes this library one that is not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "lightning_clf":
            raise ModuleNotFoundError(name)


def main(folder: Path) -> None:
    sys.meta_path.insert(0, Absent())
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
        pipeline,
    )

    tensors = load_file(folder / "inputs.safetensors")
    logits, answers = {}, {}
    for name, case in json.loads((folder / "cases.json").read_text()).items():
        is_tags = case["kind"] == "tags"
        auto = AutoModelForTokenClassification if is_tags else AutoModelForSequenceClassification
        model = auto.from_pretrained(case["folder"], dtype=torch.float32).eval()
        inputs = {key: tensors[f"{name}/{key}"] for key in case["inputs"]}
        with torch.inference_mode():
            logits[name] = model(**inputs).logits.contiguous()
        task = "token-classification" if is_tags else "text-classification"
        options = {"aggregation_strategy": "first"} if is_tags else {}
        pipe = pipeline(task, model=model, tokenizer=AutoTokenizer.from_pretrained(case["folder"]), **options)
        if is_tags:
            (answer,) = pipe([case["row"]["tokens"]], is_split_into_words=True)
        else:
            columns = ("text", "text_pair") if case["kind"] == "score" else ("text",)
            (answer,) = pipe([{column: case["row"][column] for column in columns}], top_k=None)
        for item in answer:
            item["score"] = float(item["score"])
        answers[name] = {"labels": model.config.id2label, "pipeline": answer}
    save_file(logits, folder / "logits.safetensors")
    (folder / "answers.json").write_text(json.dumps(answers))
    assert "lightning_clf" not in sys.modules


if __name__ == "__main__":
    main(Path(sys.argv[1]))
