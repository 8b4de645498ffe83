"""A GPU computes what a CPU does: fits, scores, answers, and goes on with its own random numbers.

Dropout is off wherever two devices are compared, since each draws masks of its own.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from transformers import AutoModelForSequenceClassification

from lightning_clf import packing
from lightning_clf.cli import main
from lightning_clf.gpu import StepGraphs
from lightning_clf.gpu.capture import Capture
from lightning_clf.last_layer import narrow_to_first_token
from lightning_clf.packing import pack
from tests.test_configs import OF_ITS_OWN, STUDENT, TASKS_BY_CONFIG, fit, source
from tests.test_packing import CLASSES, LENGTHS, NARROWED, VERIFIED, computed, config_of, inputs_of, make
from tests.tiny import ARCHITECTURES, ENCODERS
from tests.training import assert_near

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]

__all__ = ["source"]
STEADY = json.dumps({"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0})
# batches are of about one length, and lengths are padded to multiples of 8 on a GPU alone
LONG = {
    "trainer.max_epochs": 4,
    "model.learning_rate": 3e-3,
    "model.encoder_options": STEADY,
    "data.pad_to_multiple_of": 8,
}
EXACT = {"float32": 1e-4, "bfloat16": 0.05}
OWN = {"multilabel_imbalanced.yaml": {"model.head.dropout": 0}}  # heads with dropout of their own
# what a task can be fitted with beside its defaults, with loops and kernels of its own
OPTIONS = {
    "crf": ("ner.yaml", {"model.head": "CRFHead", "model.head.dropout": 0}),
    "spans": ("ner.yaml", {"model.head": "SpanHead", "model.head.dropout": 0}),
    "mlp": ("text.yaml", {"model.head": "MLPHead", "model.head.dropout": 0}),
    "labels attended to": ("multilabel.yaml", {"model.head": "LabelAttentionHead", "model.head.dropout": 0}),
    "focal": ("text.yaml", {"model.loss": "FocalLoss"}),
    "balanced": ("multilabel.yaml", {"model.loss": "DistributionBalancedLoss"}),
    "frozen": ("text.yaml", {"model.finetuning": "FineTuning", "model.finetuning.freeze": "encoder"}),
    "lora": ("text.yaml", {"model.finetuning": "LoRA", "model.finetuning.dropout": 0.0}),
    "packed": ("text.yaml", {"model.packed": "true"}),
    "compiled": ("text.yaml", {"model.compile": "true"}),
    "eager": ("text.yaml", {"model.attn_implementation": "eager"}),
    "accumulated": ("ner.yaml", {"trainer.accumulate_grad_batches": 2}),
    "by tokens": ("text.yaml", {"data.batch_tokens": 64}),
    "ddp": ("text.yaml", {"trainer.strategy": "ddp"}),
}


def fitted(folder: Path, encoder: Path, source: Path, name: str, accelerator: str, **options: Any) -> Path:
    """The run folder of a fit of several epochs on a device."""
    more = {"trainer.accelerator": accelerator, "trainer.devices": 1, **LONG, **OF_ITS_OWN.get(name, {})}
    return fit(folder, encoder, source, [name], **more, **OWN.get(name, {}), **options)


def scores(run: Path, accelerator: str) -> dict[str, float]:
    """What a run's last weights score on test, computed on a device."""
    words = [f"--ckpt_path={run / 'last.ckpt'}", f"--trainer.accelerator={accelerator}", "--trainer.precision=32-true"]
    assert main(["test", *words]) == 0
    return json.loads((run / "test_metrics.json").read_text())


def answers(model: Path, rows: Path, device: str) -> list[dict[str, Any]]:
    """What a model answers on a device."""
    output = model.parent / f"{device}.jsonl"
    words = {"model": model, "input": rows, "output": output, "device": device}
    assert main(["predict", *(f"--{name}={value}" for name, value in words.items())]) == 0
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.parametrize("precision", EXACT)
@pytest.mark.parametrize(("source", "name"), [(name, name) for name in TASKS_BY_CONFIG], indirect=["source"])
def test_a_configuration_learns_what_it_learns_on_a_cpu(encoders, source, name, precision, tmp_path):
    told = {"trainer.precision": "bf16-mixed" if precision == "bfloat16" else "32-true"}
    runs = [
        fitted(tmp_path / "reference", encoders("bert"), source, name, "cpu"),
        fitted(tmp_path / "found", encoders("bert"), source, name, "gpu", **told),
    ]
    wanted, found = (scores(run, "cpu") for run in runs)
    assert found["test/loss"] == pytest.approx(wanted["test/loss"], rel=EXACT[precision])


@pytest.mark.parametrize(
    ("source", "name", "options"), [(config, config, more) for config, more in OPTIONS.values()], ids=list(OPTIONS),
    indirect=["source"],
)  # fmt: skip
def test_an_option_learns_what_it_learns_on_a_cpu(encoders, source, name, options, tmp_path):
    runs = [
        fitted(tmp_path / folder, encoders("bert"), source, name, device, **options)
        for folder, device in (("reference", "cpu"), ("found", "gpu"))
    ]
    wanted, found = (scores(run, "cpu") for run in runs)
    assert found["test/loss"] == pytest.approx(wanted["test/loss"], rel=EXACT["float32"])
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


REPLAYED = {
    "text": ("text.yaml", {}),
    "words": ("ner.yaml", {}),
    "many": ("multilabel.yaml", {}),
    "pairs": ("nli.yaml", {}),
    "structure": ("ner.yaml", {"model.head": "CRFHead", "model.head.dropout": 0}),
    "hidden states": ("text.yaml", {"model.head": "MLPHead", "model.head.dropout": 0}),
    "frozen": ("text.yaml", {"model.finetuning": "FineTuning", "model.finetuning.freeze": "embeddings"}),
    "lora": ("text.yaml", {"model.finetuning": "LoRA", "model.finetuning.dropout": 0.0}),
    "accumulated": ("ner.yaml", {"trainer.accumulate_grad_batches": 2}),
    "twice": ("text.yaml", {"model.r_drop": 1.0}),
    "by tokens": ("text.yaml", {"data.batch_tokens": 64}),
    "loaded aside": ("text.yaml", {"data.num_workers": 1}),
}


@pytest.mark.parametrize("precision", EXACT)
@pytest.mark.parametrize(
    ("source", "name", "options"), [(config, config, more) for config, more in REPLAYED.values()], ids=list(REPLAYED),
    indirect=["source"],
)  # fmt: skip
def test_what_is_replayed_learns_what_it_learns_on_a_cpu(encoders, source, name, options, precision, tmp_path):
    told = {"trainer.precision": "bf16-mixed" if precision == "bfloat16" else "32-true", "model.cuda_graphs": "true"}
    with mock.patch("torch.cuda.CUDAGraph", wraps=torch.cuda.CUDAGraph) as recorded:
        runs = [
            fitted(tmp_path / "reference", encoders("bert"), source, name, "cpu", **options),
            fitted(tmp_path / "found", encoders("bert"), source, name, "gpu", **options, **told),
        ]
    assert recorded.called
    wanted, found = (scores(run, "cpu") for run in runs)
    assert found["test/loss"] == pytest.approx(wanted["test/loss"], rel=EXACT[precision])


@pytest.mark.parametrize("architecture", [name for name in ENCODERS if name != "deberta-v2"])  # which is refused
def test_an_encoder_that_is_replayed_gives_what_it_gives(architecture):
    model = AutoModelForSequenceClassification.from_config(config_without_dropout(architecture)).cuda().train()
    twin = copy.deepcopy(model)
    steps = StepGraphs(twin, lambda inputs: twin(**inputs).logits)
    graphs_of_before = []  # whose nodes must not reach into a capture
    for rows, length in ((3, 7), (4, 12), (3, 7), (4, 12)):
        ids = torch.randint(5, 30, (rows, length), device="cuda")
        mask = (torch.arange(length, device="cuda") < torch.randint(2, length + 1, (rows, 1), device="cuda")).long()
        inputs = {"input_ids": ids, "attention_mask": mask}
        wanted, found = model(**inputs).logits, steps(inputs)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
        graphs_of_before += [wanted, found]
        for output, network in ((wanted, model), (found, twin)):
            network.zero_grad()
            output.square().sum().backward()
        for (key, one), other in zip(model.named_parameters(), twin.parameters(), strict=True):
            assert (one.grad is None) == (other.grad is None), key
            if one.grad is not None:
                torch.testing.assert_close(other.grad, one.grad, atol=1e-5, rtol=1e-3, msg=key)


def test_a_capture_that_fails_leaves_nothing_behind():
    capture = Capture(torch.device("cuda", torch.cuda.current_device()))
    stream = torch.cuda.current_stream()
    with pytest.raises(RuntimeError):
        capture(lambda: print(torch.ones(1, device="cuda").sum().item()))
    assert torch.cuda.current_stream() == stream
    values = torch.rand(3, device="cuda")
    drawn = torch.empty_like(values)
    replay = capture(drawn.uniform_)
    replay()
    first = drawn.clone()
    replay()
    assert not torch.equal(first, drawn)


def config_without_dropout(architecture: str) -> Any:
    """The tiny configuration of an architecture, for three classes."""
    config, _ = ARCHITECTURES[architecture]()
    config.num_labels = 3
    for key in list(vars(config)):
        if key.endswith(("dropout", "dropout_prob")):
            setattr(config, key, 0.0)
    return config


@pytest.mark.parametrize("source", ["text.yaml"], indirect=True)
def test_a_student_learns_what_it_learns_on_a_cpu(encoders, source, tmp_path):
    teacher = fitted(tmp_path / "teacher", encoders("bert"), source, "text.yaml", "gpu") / "best"
    asked = {**LONG, "model.distillation.teacher": teacher, "model.encoder_layers": 1}
    runs = [
        fit(tmp_path / folder, teacher, source, ["text.yaml", STUDENT], **asked, **{"trainer.accelerator": device})
        for folder, device in (("reference", "cpu"), ("found", "gpu"))
    ]
    wanted, found = (scores(run, "cpu") for run in runs)
    assert found["test/loss"] == pytest.approx(wanted["test/loss"], rel=EXACT["float32"])


@pytest.mark.parametrize(("source", "name"), [(name, name) for name in TASKS_BY_CONFIG], indirect=["source"])
def test_a_model_scores_and_answers_as_on_a_cpu(encoders, source, name, tmp_path):
    run = fitted(tmp_path, encoders("bert"), source, name, "gpu")
    assert_near(scores(run, "gpu"), scores(run, "cpu"), 1e-5)
    rows = tmp_path / "rows.jsonl"
    assert_near(answers(run / "best", rows, "cuda"), answers(run / "best", rows, "cpu"), 1e-4)


@pytest.mark.parametrize("cuda_graphs", [False, True])
@pytest.mark.parametrize("source", ["text.yaml"], indirect=True)
def test_what_goes_on_ends_where_it_would_have(encoders, source, cuda_graphs, tmp_path, monkeypatch):
    """With dropout: the GPU's random numbers go on too."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    options = {"trainer.accelerator": "gpu", "model.learning_rate": 3e-3, "trainer.precision": "bf16-mixed"}
    options["model.cuda_graphs"] = str(cuda_graphs).lower()
    keeping = {"trainer.callbacks": f"{__name__}.KeepFirst", "trainer.max_epochs": 3}
    run = fit(tmp_path, encoders("bert"), source, ["text.yaml"], **options, **keeping)
    first, wanted = (torch.load(run / name, weights_only=True)["state_dict"] for name in ("first.ckpt", "last.ckpt"))
    (run / "last.ckpt").unlink()
    assert main(["fit", f"--ckpt_path={run / 'first.ckpt'}"]) == 0
    found = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    assert any(not torch.equal(weight, first[name]) for name, weight in wanted.items())
    for name, weight in wanted.items():
        torch.testing.assert_close(found[name], weight, atol=1e-6, rtol=1e-6)


class KeepFirst(Callback):
    """Keeps the first epoch's checkpoint under a name of its own."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy what the epoch before has left."""
        kept = Path(trainer.default_root_dir) / "first.ckpt"
        if trainer.current_epoch == 1 and not kept.exists():
            shutil.copy(kept.with_name("last.ckpt"), kept)


@pytest.mark.parametrize("model_class", CLASSES)
@pytest.mark.parametrize("architecture", VERIFIED)
def test_the_kernel_for_texts_of_varying_length_gives_what_padding_gives(architecture, model_class):
    """In bfloat16, whose own distance from float32 with padding is what is allowed, times two."""
    reference = make(architecture, model_class).float().cuda()
    padded = copy.deepcopy(reference).bfloat16()
    packed = copy.deepcopy(padded)
    pack(packed, narrowed=False)
    for lengths in LENGTHS.values():
        inputs = {name: values.cuda() for name, values in inputs_of(reference, lengths).items()}
        with mock.patch.object(packing, "varlen_attn", wraps=packing.varlen_attn) as kernel:
            found = computed(packed, inputs)
        assert kernel.call_count == config_of(architecture).num_hidden_layers
        exact, wanted = computed(reference, inputs), computed(padded, inputs)
        for name, value in exact.items():
            if value is not None:
                allowed = 2 * (wanted[name] - value).norm() + 0.01 * value.norm() + 1e-4
                assert (found[name] - value).norm() <= allowed, name


@pytest.mark.parametrize("architecture", sorted(NARROWED))
def test_the_kernel_goes_with_a_last_layer_of_the_first_token(architecture):
    reference = make(architecture, AutoModelForSequenceClassification).float().cuda()
    packed = copy.deepcopy(reference).bfloat16()
    narrow_to_first_token(packed)
    pack(packed, narrowed=True)
    inputs = {name: values.cuda() for name, values in inputs_of(reference, LENGTHS["mixed"]).items()}
    wanted, found = reference(**inputs).logits, packed(**inputs).logits
    assert (found - wanted).norm() <= 0.05 * wanted.norm()


@pytest.mark.parametrize("source", ["text.yaml"], indirect=True)
def test_a_fit_without_dropout_takes_the_kernel(encoders, source, tmp_path):
    options = {"trainer.precision": "bf16-mixed"}
    plain = fitted(tmp_path / "plain", encoders("bert"), source, "text.yaml", "gpu", **options)
    options["model.packed"] = "true"
    with mock.patch.object(packing, "varlen_attn", wraps=packing.varlen_attn) as kernel:
        packed = fitted(tmp_path / "packed", encoders("bert"), source, "text.yaml", "gpu", **options)
    assert kernel.called
    assert scores(packed, "cpu")["test/loss"] == pytest.approx(scores(plain, "cpu")["test/loss"], rel=1e-3)


@pytest.mark.parametrize("source", ["text.yaml"], indirect=True)
def test_doctor_measures_the_memory_of_the_gpu(encoders, source, capsys):
    words = {"model.encoder": encoders("bert"), "data.source": source, "trainer.accelerator": "gpu"}
    words["data.max_length"] = 32
    code = main(["doctor", "--config=text.yaml", *(f"--{name}={value}" for name, value in words.items()), "--json"])
    assert code == 2  # the same rows in train and test
    memory = next(one for one in json.loads(capsys.readouterr().out)["findings"] if one["check"] == "memory")
    told = float(re.search(r"of ([\d.]+) GB that are free", memory["found"])[1])
    assert told == pytest.approx(torch.cuda.mem_get_info()[0] / 1e9, rel=0.2)
