"""Figures reach the loggers: at the steps of the numbers, of the right counts, and only where they are asked for."""

from __future__ import annotations

import importlib.util
import io
import warnings

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from PIL import Image
from sklearn.metrics import confusion_matrix, f1_score, multilabel_confusion_matrix
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_clf import MultiTaskClassifier, figures
from lightning_clf.callbacks import FigureLogger
from lightning_clf.heads import SpanHead
from lightning_clf.inference import Classifier
from tests.several_tasks import make_tasks
from tests.training import ROWS, complaint, make_data, make_module, make_trainer

CLASSES = ("confusion", "class_scores", "precision_recall", "reliability")
DRAWN = {"single": CLASSES, "multi": CLASSES, "tags": CLASSES, "score": ("agreement",)}


def events(logger: TensorBoardLogger) -> EventAccumulator:
    """What the logger wrote, read back."""
    logger.experiment.flush()
    found = EventAccumulator(logger.log_dir, size_guidance={"images": 0, "scalars": 0})
    return found.Reload()


def steps(found: EventAccumulator) -> dict[str, list[int]]:
    return {name: [event.step for event in found.Images(name)] for name in found.Tags()["images"]}


@pytest.fixture
def board(tmp_path):
    return TensorBoardLogger(tmp_path, "", "")


@pytest.mark.parametrize("kind", DRAWN)
def test_figures_of_a_fit_stand_beside_its_numbers(kind, encoders, tmp_path, board):
    stages, epochs = (("train", "val", "test"), 2) if kind == "single" else (("val", "test"), 1)
    trainer = make_trainer(tmp_path, logger=board, callbacks=[FigureLogger(stages=stages)], max_epochs=epochs)
    module, data = make_module(kind, encoders("bert")), make_data(kind)
    trainer.fit(module, data)
    trainer.test(module, data, verbose=False)
    found = events(board)
    assert set(steps(found)) == {f"{stage}/{name}" for stage in stages for name in DRAWN[kind]}
    for name, drawn in steps(found).items():
        numbers = [event.step for event in found.Scalars(f"{name.partition('/')[0]}/loss")]
        assert drawn == numbers
        assert len(drawn) == (1 if name.startswith("test/") else epochs)
        for event in found.Images(name):
            image = Image.open(io.BytesIO(event.encoded_image_string))
            assert (image.format, image.width, image.height) == ("PNG", event.width, event.height)
            assert image.width >= 450
            assert len(image.convert("RGB").getcolors(2**24)) > 10  # something is drawn


@pytest.mark.parametrize("asked", [None, ["confusion", "agreement"]])
def test_figures_of_several_tasks_have_their_names(asked, encoders, tmp_path, board):
    callbacks = [FigureLogger(asked)]
    trainer = make_trainer(tmp_path, logger=board, callbacks=callbacks, max_epochs=2)
    module, data = MultiTaskClassifier(str(encoders("bert"))), make_tasks(*DRAWN)
    trainer.fit(module, data)
    trainer.test(module, data, verbose=False)
    found = events(board)
    wanted = {f"{kind}/{name}" for kind, names in DRAWN.items() for name in names if asked is None or name in asked}
    assert set(steps(found)) == {f"{stage}/{name}" for stage in ("val", "test") for name in wanted}
    for name, drawn in steps(found).items():
        stage, kind, _ = name.split("/")
        assert drawn == [event.step for event in found.Scalars(f"{stage}/{kind}/loss")]


def test_figures_of_several_tasks_are_of_their_own_counts(encoders, tmp_path, board, told):
    module = MultiTaskClassifier(str(encoders("bert")))
    trainer = make_trainer(tmp_path, logger=board, callbacks=[FigureLogger(["confusion"])])
    trainer.test(module, make_tasks("multi", "single"), verbose=False)
    gold = [row["label"] for row in ROWS["single"]]
    answers = Classifier(module.artefacts().whole("single")).predict(ROWS["single"])
    counts, names = told["draw_confusion"]
    found = [answer["label"] for answer in answers]
    assert counts.tolist() == confusion_matrix(gold, found, labels=names).tolist()
    assert told["draw_label_confusions"][0].sum() == 2 * len(ROWS["multi"])


def test_a_figure_that_none_of_the_tasks_has(encoders, tmp_path, board):
    trainer = make_trainer(tmp_path, logger=board, callbacks=[FigureLogger(["agreement"])])
    module = MultiTaskClassifier(str(encoders("bert")))
    assert complaint(lambda: trainer.fit(module, make_tasks("single", "tags"))) == (
        "FigureLogger's figures have 'agreement', which labels of kind single and tags have not: use confusion, "
        "class_scores, precision_recall, reliability"
    )


@pytest.fixture
def told(monkeypatch):
    """What the drawing functions are given, in place of drawing it."""
    given = {}
    for name in figures.__all__:
        monkeypatch.setattr(figures, name, lambda *args, name=name: given.update({name: args}))
    monkeypatch.setattr("lightning_clf.callbacks.figure_logger._hand_over", lambda *_: None)
    return given


@pytest.fixture
def tested(encoders, tmp_path, board, told):
    """Test a module of a kind; the module, its answers, and what was to be drawn."""

    def run(kind, rows=None, **options):
        torch.manual_seed(1)
        module = make_module(kind, encoders("electra"), **options)
        trainer = make_trainer(tmp_path, logger=board, callbacks=[FigureLogger()])
        trainer.test(module, make_data(kind, rows), verbose=False)
        return module, Classifier(module.artefact).predict(rows or ROWS[kind]), told

    return run


def test_one_label_is_drawn_as_sklearn_counts_it(tested):
    module, answers, drawn = tested("single")
    gold, found = [row["label"] for row in ROWS["single"]], [answer["label"] for answer in answers]
    counts, names = drawn["draw_confusion"]
    assert tuple(names) == module.labels.names
    assert counts.tolist() == confusion_matrix(gold, found, labels=names).tolist()
    (rows,) = drawn["draw_class_scores"]
    assert [row.f1 for row in rows] == pytest.approx(f1_score(gold, found, labels=names, average=None, zero_division=0))
    curves, classes = drawn["draw_precision_recall"]
    assert tuple(classes) == module.labels.names
    assert curves.recall[:, 0].tolist() == [1.0] * 3  # at or above 0 is everything
    assert curves.precision[:, 0].tolist() == [gold.count(name) / len(gold) for name in classes]
    confidences = [answer["probability"] for answer in answers]
    assert float((curves.confidence * curves.sizes).nansum()) == pytest.approx(sum(confidences), abs=1e-4)
    hits = sum(one == other for one, other in zip(gold, found, strict=True))
    assert float((curves.hit_rate * curves.sizes).nansum()) == pytest.approx(hits)


def test_any_number_of_labels_is_drawn_as_sklearn_counts_it(tested):
    module, answers, drawn = tested("multi")
    gold, found = (
        [[int(name in row["labels"]) for name in module.labels.names] for row in side]
        for side in (ROWS["multi"], answers)
    )
    counts, names = drawn["draw_label_confusions"]
    assert tuple(names) == module.labels.names
    assert counts.tolist() == multilabel_confusion_matrix(gold, found).tolist()
    (curves,) = drawn["draw_reliability"]
    assert curves.sizes.sum() == 2 * len(gold)


def test_entities_are_drawn_by_type(tested):
    _, _, drawn = tested("tags")
    counts, names = drawn["draw_confusion"]
    assert names == ["LOC", "PER", "none"]
    starts = [tag for row in ROWS["tags"] for tag in row["tags"] if tag.startswith("B-")]
    assert counts[:2].sum(1).tolist() == [starts.count("B-LOC"), starts.count("B-PER")]


def test_scores_are_all_drawn(tested):
    _, answers, drawn = tested("score")
    (agreement,) = drawn["draw_agreement"]
    assert agreement.cells.sum() == agreement.residuals.sum() == len(answers)
    true = torch.tensor([row["score"] for row in ROWS["score"]]).double()
    rows = torch.histogram(true, agreement.edges).hist
    assert agreement.cells.sum(1).tolist() == rows.tolist()


def test_without_probabilities_there_are_no_curves(tested):
    _, _, drawn = tested("tags", head=SpanHead())
    assert set(drawn) == {"draw_confusion", "draw_class_scores"}


def test_only_what_is_asked_for_is_drawn(encoders, tmp_path, board):
    callback = FigureLogger(figures=["confusion"], stages=["val"], every_n_epochs=2)
    trainer = make_trainer(tmp_path, logger=board, callbacks=[callback], max_epochs=4)
    module = make_module("single", encoders("bert"))
    trainer.fit(module, make_data("single"))
    assert steps(events(board)) == {"val/confusion": [3, 7]}  # two steps an epoch, counted from 0
    assert len(module.stage_scores("val").metrics.metrics) == 2  # and nothing is counted for it


def test_a_second_fit_counts_once(encoders, tmp_path, board):
    module, data = make_module("single", encoders("bert")), make_data("single")
    for _ in range(2):
        make_trainer(tmp_path, logger=board, callbacks=[FigureLogger()]).fit(module, data)
    assert len(module.stage_scores("val").metrics.metrics) == 3


def test_weights_and_biases_gets_images(encoders, tmp_path):
    class Recorder(WandbLogger):
        """A logger that wants no package, and keeps what it is given."""

        def __init__(self):
            self.images = []

        name = version = save_dir = experiment = None
        log_hyperparams = log_metrics = log_graph = save = finalize = after_save_checkpoint = lambda *_, **__: None

        def log_image(self, key, images, step=None):
            self.images.append((key, [type(image).__name__ for image in images], step))

    recorder = Recorder()
    callback = FigureLogger(figures=["confusion"])
    trainer = make_trainer(tmp_path, logger=recorder, callbacks=[callback], max_epochs=2)
    trainer.fit(make_module("single", encoders("bert")), make_data("single"))
    assert recorder.images == [("val/confusion", ["Figure"], 1), ("val/confusion", ["Figure"], 3)]


def test_where_no_logger_takes_figures_it_is_said_once(encoders, tmp_path):
    module, data = make_module("single", encoders("bert")), make_data("single")
    trainer = make_trainer(tmp_path, logger=CSVLogger(tmp_path), callbacks=[FigureLogger()], max_epochs=2)
    with pytest.warns(UserWarning, match="FigureLogger draws nothing, since no logger takes figures") as said:
        trainer.fit(module, data)
    assert sum("FigureLogger" in str(warning.message) for warning in said) == 1
    assert len(module.stage_scores("val").metrics.metrics) == 2
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        make_trainer(tmp_path, callbacks=[FigureLogger()]).test(module, data, verbose=False)
    assert not any("FigureLogger" in str(warning.message) for warning in said)


def test_refusals(encoders, tmp_path, board, monkeypatch):
    def fit(kind, **options):
        trainer = make_trainer(tmp_path, logger=board, callbacks=[FigureLogger(**options)])
        trainer.fit(make_module(kind, encoders("bert")), make_data(kind))

    said = complaint(lambda: fit("score", figures=["confusion"]))
    assert said == "FigureLogger's figures have 'confusion', which labels of kind score have not: use agreement"
    said = complaint(lambda: fit("single", figures=["roc"]))
    assert "'roc'" in said
    assert "use confusion, class_scores, precision_recall, reliability" in said
    said = complaint(lambda: FigureLogger(stages=["dev"]))
    assert said == "FigureLogger's stages have 'dev': use train, val, test"
    assert "every_n_epochs" in complaint(lambda: FigureLogger(every_n_epochs=0))
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else known(name))
    assert complaint(FigureLogger) == (
        "FigureLogger needs the package matplotlib: pip install 'lightning-clf[figures]'"
    )
