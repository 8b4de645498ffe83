"""SetFit, from pairs to an export, on tiny encoders; against the package `setfit` where it has the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from sklearn.linear_model import LogisticRegression

from lightning_clf import FewShotDataModule, SetFitClassifier, load_classifier
from lightning_clf.artefact import load_artefact
from lightning_clf.callbacks import BestCheckpoint
from lightning_clf.finetuning import FineTuning
from lightning_clf.heads import EmbeddingHead, GradientFit
from lightning_clf.losses import SupervisedContrastiveLoss, TripletLoss
from lightning_clf.modules.sentence_body import embedding_of
from tests.tiny import CORPUS
from tests.training import NO_DROPOUT, ROWS, complaint, make_data, make_trainer

FEW = {kind: [{**row, "text": f"{row['text']} {more}"} for more in CORPUS[0].split()[:3] for row in ROWS[kind]]
       for kind in ("single", "multi")}  # fmt: skip
TEXTS = [row["text"] for row in FEW["single"]]


class Batches(Callback):
    """Which pairs of which rows were trained on, and a checkpoint after each batch."""

    def __init__(self, folder=None):
        self.seen, self.folder = [], folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.seen.append((trainer.current_epoch, batch.example_ids[batch.pairs].tolist()))
        if self.folder:
            trainer.save_checkpoint(self.folder / f"step{trainer.global_step}.ckpt")


def few(kind="single", **options):
    options = {"source": {"train": FEW[kind]}, "shots": 4, "pairs": 48, "batch_size": 8, "max_length": 32, **options}
    return FewShotDataModule(kind=kind, **options)


def fit(encoder, folder, kind="single", checkpoint=None, data=None, save=None, seed=0, trainer=None, **options):
    """A fit; the module, and the pairs it was trained on."""
    seed_everything(seed, verbose=False)
    batches, best = Batches(save), BestCheckpoint()
    made = make_trainer(folder, callbacks=[best, batches], enable_checkpointing=True, **(trainer or {}))
    module = SetFitClassifier(str(encoder), kind=kind, **{"learning_rate": 1e-3, **options})
    made.fit(module, few(kind, **(data or {})), ckpt_path=checkpoint)
    return module, batches.seen


@pytest.fixture(scope="module")
def body(encoders, tmp_path_factory):
    """An encoder with the files of `sentence-transformers`: the mean, scaled to length 1."""
    models = pytest.importorskip("sentence_transformers.models")
    from sentence_transformers import SentenceTransformer

    transformer = models.Transformer(str(encoders("bert")), max_seq_length=32)
    folder = tmp_path_factory.mktemp("body")
    pooling = models.Pooling(16, "mean")
    SentenceTransformer(modules=[transformer, pooling, models.Normalize()], device="cpu").save(
        str(folder), create_model_card=False
    )
    return folder


def test_answers_are_those_of_the_package_on_the_same_weights(body, tmp_path):
    setfit = pytest.importorskip("setfit")
    from sentence_transformers import SentenceTransformer

    module, _ = fit(body, tmp_path, encoder_options=NO_DROPOUT)
    assert module.head.spec()["init_args"] == {"pooling": "mean", "normalize": True}
    whole = SentenceTransformer(str(body), device="cpu")
    missing, unknown = whole[0].auto_model.load_state_dict(module.network.encoder.state_dict(), strict=False)
    assert not unknown
    assert all("pooler" in name for name in missing)
    weight, bias = module.head.output.weight.detach().numpy(), module.head.output.bias.detach().numpy()
    head = LogisticRegression()
    head.classes_, head.coef_, head.intercept_ = np.arange(3), weight.astype(np.float64), bias.astype(np.float64)
    theirs = setfit.SetFitModel(model_body=whole, model_head=head, labels=["bad", "fine", "good"])
    embedded = whole.encode(TEXTS)
    answers = list(load_classifier(tmp_path / "best").predict(TEXTS))
    wanted = theirs.predict_proba(TEXTS).numpy()
    ours = [[answer["probabilities"][name] for name in ("bad", "fine", "good")] for answer in answers]
    np.testing.assert_allclose(ours, wanted, atol=1e-5)
    logits = logits_of(tmp_path / "best")
    np.testing.assert_allclose(logits, head.decision_function(embedded), atol=1e-5)
    # and the coefficients are those that the package itself fits to these embeddings
    rows = module.datamodule._rows_of("train")
    refit = LogisticRegression(tol=1e-8, max_iter=1000)
    refit.fit(whole.encode([TEXTS[row] for row in rows["example_id"]]).astype(float), rows["target"])
    np.testing.assert_allclose(weight, refit.coef_, atol=1e-3)


def assert_head_is_of_its_encoder(module):
    with torch.no_grad():
        module.network.eval()
        batches = list(module.datamodule.train_rows_dataloader())
        embedded = torch.cat([module.head.embed(module.network.features(batch), batch) for batch in batches])
        targets = torch.cat([batch.targets for batch in batches])
    weight, bias = module.head_fit.fit(embedded, targets, module.labels)
    torch.testing.assert_close(module.head.output.weight, weight, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(module.head.output.bias, bias, atol=1e-4, rtol=1e-4)


def logits_of(folder):
    artefact = load_artefact(folder)
    encoded = artefact.tokenizer(TEXTS, padding=True, return_tensors="pt")
    from lightning_clf.token_logits import token_logits

    with torch.inference_mode():
        return token_logits(artefact.network, dict(encoded)).numpy()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("single", {}),
        ("multi", {}),
        ("single", {"body_loss": TripletLoss(), "head_fit": GradientFit(steps=20)}),
        ("multi", {"body_loss": SupervisedContrastiveLoss(), "head": EmbeddingHead("cls", normalize=True)}),
    ],
)
def test_body_moves_and_the_head_is_of_what_it_became(kind, options, encoders, tmp_path):
    module, seen = fit(encoders("bert"), tmp_path, kind, **options)
    assert seen
    assert (tmp_path / "best.ckpt").is_file()
    fresh = SetFitClassifier(str(encoders("bert")), kind=kind, labels=module.labels.to_dict(), **options)
    fresh.build()
    moved = [
        name
        for name, weight in module.network.encoder.named_parameters()
        if not torch.equal(weight, fresh.network.encoder.get_parameter(name))
    ]
    assert len(moved) > 20
    assert not any(parameter.requires_grad for parameter in module.head.output.parameters())
    assert_head_is_of_its_encoder(module)
    restored = SetFitClassifier.load_from_checkpoint(str(tmp_path / "best.ckpt"))
    assert restored.kind == kind
    assert restored.body_loss.spec() == module.body_loss.spec()
    assert torch.equal(restored.head.output.weight, module.head.output.weight)
    assert not restored.head.output.weight.requires_grad
    assert (tmp_path / "best" / "head.safetensors").is_file()
    assert not list((tmp_path / "best").rglob("*.pkl"))


def test_a_fit_without_validation_ends_with_a_head(encoders, tmp_path):
    module, _ = fit(encoders("bert"), tmp_path, trainer={"limit_val_batches": 0, "num_sanity_val_steps": 0})
    assert_head_is_of_its_encoder(module)


@pytest.mark.parametrize(
    "average", [StochasticWeightAveraging(1e-3, swa_epoch_start=1), EMAWeightAveraging(decay=0.5)], ids=["swa", "ema"]
)
def test_averaged_weights_have_a_head_of_their_own(average, encoders, tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[average, BestCheckpoint()], enable_checkpointing=True, max_epochs=3)
    module = SetFitClassifier(str(encoders("bert")), learning_rate=1e-3)
    trainer.fit(module, few())
    assert_head_is_of_its_encoder(module)


def test_each_pair_trains_what_its_formula_says(encoders, tmp_path):
    module, seen = fit(encoders("bert"), tmp_path, learning_rate=1e-12, encoder_options=NO_DROPOUT)
    rows = FEW["single"]
    with torch.no_grad():
        module.network.eval()
        hidden = {}
        for batch in module.datamodule.train_rows_dataloader():
            embedded = module.head.embed(module.network.features(batch), batch).double()
            hidden |= dict(zip(batch.example_ids.tolist(), embedded, strict=True))
    losses = [
        (torch.cosine_similarity(hidden[a], hidden[b], 0) - float(rows[a]["label"] == rows[b]["label"])) ** 2
        for _, pairs in seen
        for a, b in pairs
    ]
    loss = module.trainer.callback_metrics["train/loss"].item()
    assert loss == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_a_run_goes_on_from_any_step(encoders, tmp_path):
    options = {"data": {"pairs": 24}, "trainer": {"max_epochs": 2}}
    (tmp_path / "whole").mkdir()
    _, seen = fit(encoders("bert"), tmp_path / "whole", save=tmp_path / "whole", **options)
    wanted = torch.load(tmp_path / "whole" / "last.ckpt", weights_only=True)["state_dict"]
    assert [epoch for epoch, _ in seen] == [0, 0, 0, 1, 1, 1]
    for step in (1, 3, 4):
        checkpoint = tmp_path / "whole" / f"step{step}.ckpt"
        _, pairs = fit(encoders("bert"), tmp_path / str(step), checkpoint=checkpoint, seed=5, **options)
        assert pairs == seen[step:]
        weights = torch.load(tmp_path / str(step) / "last.ckpt", weights_only=True)["state_dict"]
        assert weights.keys() == wanted.keys()
        assert [name for name, weight in wanted.items() if not torch.equal(weight, weights[name])] == []


def test_what_the_encoder_says_of_its_embeddings(body, encoders, tmp_path):
    assert embedding_of(str(body)) == ("mean", True)
    assert embedding_of(str(encoders("bert"))) == ("mean", False)
    modules = [{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]
    (tmp_path / "1_Pooling").mkdir()

    def said(config, *more):
        kinds = [{"type": f"sentence_transformers.models.{name}", "path": ""} for name in more]
        (tmp_path / "modules.json").write_text(json.dumps([*modules, *kinds]))
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(config))
        return embedding_of(str(tmp_path))

    old = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    assert said(old, "Normalize") == ("cls", True)
    assert said({"pooling_mode": "lasttoken"}) == ("last", False)
    assert "pools by mean and max, which EmbeddingHead does not" in complaint(
        lambda: said({"pooling_mode": ["mean", "max"]})
    )
    assert "has a Dense in its modules.json" in complaint(lambda: said(old, "Dense"))
    (tmp_path / "modules.json").write_text("{")
    assert "modules.json of encoder" in complaint(lambda: embedding_of(str(tmp_path)))


def test_refusals(encoders, tmp_path, monkeypatch):
    encoder = str(encoders("bert"))
    trainer = make_trainer(tmp_path)
    message = complaint(lambda: trainer.fit(SetFitClassifier(encoder), make_data("single")))
    assert message.startswith("SetFitClassifier learns from pairs of rows, which FewShotDataModule draws")
    message = complaint(lambda: make_trainer(tmp_path).fit(SetFitClassifier(encoder, kind="multi"), few()))
    assert message.startswith("SetFitClassifier needs labels of kind 'multi'")
    message = complaint(lambda: make_trainer(tmp_path).fit(SetFitClassifier(encoder), few(batch_tokens=64)))
    assert message == "data.batch_tokens is for batches of rows, but these are of pairs: leave it out"
    assert complaint(lambda: SetFitClassifier(encoder, kind="tags")).startswith("SetFitClassifier has no kind 'tags'")
    gradual = SetFitClassifier(encoder, finetuning=FineTuning(unfreeze_over=0.5))  # whose head is fitted
    message = complaint(lambda: make_trainer(tmp_path).fit(gradual, few()))
    assert message.startswith("unfreeze_over trains the head alone at first, but nothing of it is trained")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = complaint(lambda: make_trainer(tmp_path).fit(SetFitClassifier(encoder), few()))
    assert message == "model.head_fit LogisticFit needs the package scikit-learn: pip install 'lightning-clf[setfit]'"
