"""How the encoder of several tasks is computed changes no result; how many layers it has is a choice."""

from __future__ import annotations

import pytest
import torch

from lightning_clf import MultiTaskClassifier, load_predictor
from lightning_clf.artefact import load_artefact
from lightning_clf.modules import TrainedModule
from lightning_clf.packing import ATTENTION
from tests.several_tasks import fit, intent_and_slots, make_tasks
from tests.tiny import CORPUS
from tests.training import NO_DROPOUT, assert_near, complaint

KINDS = ("single", "tags", "score")


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("how", ["packed", "compile"])
def test_the_same_is_learned(how, joint, encoders, tmp_path):
    def fitted(folder, **model):
        data = intent_and_slots() if joint else make_tasks(*KINDS, pad_to_multiple_of=8)
        model = {"encoder_options": NO_DROPOUT, **model}
        trainer, module, _ = fit(encoders("bert"), folder, data, model=model, max_epochs=3)
        losses = {name: value.item() for name, value in trainer.callback_metrics.items() if "loss" in name}
        return module, losses

    (plain, wanted), (other, losses) = fitted(tmp_path / "plain"), fitted(tmp_path / "other", **{how: True})
    assert (other.encoder.config._attn_implementation == ATTENTION) == (how == "packed")
    assert (other.encoder._compiled_call_impl is not None) == (how == "compile")
    assert losses == pytest.approx(wanted, rel=1e-6)
    assert len(losses) > 2 * len(plain.names)  # of train, dev and the last step
    # what is exported computes with padding, as without the key
    for task in plain.names:
        for name in ("config.json", "lightning_clf.json"):
            texts = [(tmp_path / folder / "best" / task / name).read_text() for folder in ("plain", "other")]
            assert texts[0] == texts[1]
    rows = [{"text": text, "text_pair": CORPUS[0], "tokens": text.split()} for text in CORPUS]
    answers = [load_predictor(tmp_path / folder / "best").predict(rows) for folder in ("plain", "other")]
    assert answers[0][0].keys() == {*plain.names}
    assert_near(answers[1], answers[0], 1e-5)


def test_each_task_of_a_packed_encoder_computes_alone(encoders, tmp_path):
    options = {"encoder_options": NO_DROPOUT, "packed": True}
    _, module, _ = fit(encoders("bert"), tmp_path, make_tasks(*KINDS, "multi"), model=options)
    module.eval()
    for task in (*KINDS, "multi"):
        stored = load_artefact(tmp_path / "best" / task).network.eval()
        batch = next(iter(module.datamodule.tasks[task].val_dataloader()))
        with torch.no_grad():
            found = module.trunk.whole(module.of_task(task).network)(batch)
            torch.testing.assert_close(found, stored(batch), atol=1e-5, rtol=1e-4)


def test_some_of_the_encoder_s_layers(encoders, tmp_path):
    _, module, _ = fit(encoders("bert"), tmp_path, make_tasks(*KINDS), model={"encoder_layers": [1]})
    assert module.encoder.config.num_hidden_layers == 1
    for task in KINDS:
        found = load_artefact(tmp_path / "best" / task).network
        assert found.config.num_hidden_layers == 1
        assert len(found.encoder.base_model.encoder.layer) == 1
    again = TrainedModule.load_from_checkpoint(tmp_path / "best.ckpt")
    assert again.encoder_layers == [1]
    assert again.encoder.config.num_hidden_layers == 1


def test_what_packed_batches_do_not_go_with_is_refused():
    said = complaint(lambda: MultiTaskClassifier("encoder", packed=True, compile=True))
    assert said.startswith("model.packed gives every batch a length of its own")
