"""Workers on Ray: the same rows in the same order as without them, whatever becomes of a worker."""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings

import pyarrow.parquet as pq
import pytest
import torch

from lightning_clf.inference import RayEngine, draft, files, load_classifier, on_ray, predict_file
from lightning_clf.inference.chunks import Way
from lightning_clf.inference.writers import JsonLines
from tests.inference.echo import ROWS, read_jsonl, write_jsonl
from tests.training import complaint

CHUNK, COUNT, SECONDS = 8, 60, 280


@pytest.fixture(scope="module")
def model(classifier, tmp_path_factory):
    """A model on disk."""
    folder = tmp_path_factory.mktemp("models") / "single"
    classifier("single").artefact.save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def cluster():
    """A Ray of this test run's own that holds two workers, and tells nobody."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
        patch.delenv("RAY_ADDRESS", raising=False)
        ray.init(
            "local",
            num_cpus=2,
            num_gpus=0,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 * 2**20,
            _node_ip_address="127.0.0.1",
        )
        try:
            yield
        finally:
            ray.shutdown()


@pytest.fixture
def one_thread():
    """Computes here as a worker does: the last digits may depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def in_time():
    """Ends a test that waits for a worker that never comes."""

    def end(number, frame):
        raise TimeoutError(f"no end after {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """A file in the working folder, with rows that cannot be read, of which one is the last of a chunk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "_CHUNK", CHUNK)
    lines = [json.dumps({"sentence": f"text {n} " * (n % 5), "id": n, "more": None if n % 3 else n / 7})
             for n in range(COUNT)]  # fmt: skip
    lines[4] = lines[15] = "{"
    lines[40] = '{"txt": "a"}'
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    return "rows.jsonl"


def quietly(*words, **options) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return predict_file(*words, **options)


def results(folder, target):
    """What lies in a folder beside the rows: each file's bytes, by name, without the target's own."""
    return {
        path.name.replace(target, "out"): pq.read_table(path) if path.suffix == ".parquet" else path.read_bytes()
        for path in folder.iterdir()
        if path.name.startswith((target, f".{target}"))
    }


def stop_after(model, chunks):
    """Have a classifier be stopped by Ctrl-C when so many chunks are answered."""
    original, calls = model.predict_read, iter(range(chunks))

    def predict_read(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return original(*arguments)

    model.predict_read = predict_read


@pytest.mark.process
@pytest.mark.parametrize(("suffix", "begun"), [("jsonl", 0), ("csv", 3), ("parquet", 0)])
@pytest.mark.usefixtures("cluster", "in_time", "one_thread")
def test_two_workers_write_what_one_process_does(suffix, begun, model, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(draft, "_SECONDS", 0)
    names = here, there = f"here.{suffix}", f"there.{suffix}"
    assert quietly(load_classifier(model), rows, here) == COUNT - 3
    if begun:
        stopped = load_classifier(model)
        stop_after(stopped, begun)
        with pytest.raises(KeyboardInterrupt):
            quietly(stopped, rows, there)
        assert (tmp_path / f".{there}.partial").is_dir()
    engine = RayEngine(os.path.relpath(model), workers=2)
    assert quietly(load_classifier(model), rows, there, resume=bool(begun), engine=engine) == COUNT - 3
    one, two = (results(tmp_path, name) for name in names)
    assert set(one) == {"out", "out.rejected.jsonl"}
    assert one == two
    assert [row["line"] for row in read_jsonl(tmp_path / f"{there}.rejected.jsonl")] == [5, 16, 41]


@pytest.mark.process
@pytest.mark.usefixtures("cluster", "in_time", "one_thread")
def test_rows_of_a_worker_that_dies_are_answered_by_another(model, rows, tmp_path):
    died = tmp_path / "died"

    def show(answer):
        if not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{answer['probability']:.3f}"

    found = quietly(
        load_classifier(model), rows, "out.txt", shard=(2, 2), show=show, engine=RayEngine(model, workers=2)
    )
    assert died.exists()
    assert quietly(load_classifier(model), rows, "here.txt", shard=(2, 2), show=show) == found
    assert (tmp_path / "out.txt").read_text() == (tmp_path / "here.txt").read_text()


@pytest.mark.process
@pytest.mark.usefixtures("cluster", "in_time")
def test_the_first_bad_row_ends_a_strict_run(model, rows, tmp_path):
    run = lambda engine: predict_file(load_classifier(model), rows, "out.jsonl", strict=True, engine=engine)  # noqa: E731
    assert complaint(lambda: run(RayEngine(model, workers=1))) == complaint(lambda: run(None))
    assert [path.name for path in tmp_path.iterdir()] == [rows]


@pytest.mark.process
@pytest.mark.usefixtures("cluster", "in_time")
@pytest.mark.parametrize(("more", "said"), [({"workers": 3}, "2 CPUs, too few for 3"),
                                            ({"device": "cuda"}, "0 GPUs, too few for 1")])  # fmt: skip
def test_more_workers_than_there_is_room_for_are_refused(more, said, model, rows, tmp_path):
    message = complaint(lambda: quietly(load_classifier(model), rows, "out.jsonl", engine=RayEngine(model, **more)))
    assert message.startswith(f"the Ray cluster has {said} workers with one each")
    assert [path.name for path in tmp_path.iterdir()] == [rows]


@pytest.mark.usefixtures("one_thread")
def test_a_worker_reads_chunks_in_any_order(model, rows, tmp_path):
    classifier = load_classifier(model)
    way = Way(classifier.carried(["id"]), JsonLines(), False, 32)
    worker = on_ray._Worker(RayEngine(model), {}, way, rows, str(tmp_path), type(classifier.network.head))
    ids = {}
    for start, stop in [(16, 24), (32, 40), (24, 32), (56, 60)]:
        found = worker({"start": start, "stop": stop})
        assert found["error"] is None
        ids[start] = [json.loads(line)["id"] for line in found["chunk"].answers.splitlines()]
    assert ids == {16: [*range(16, 24)], 24: [*range(24, 32)], 32: [*range(32, 40)], 56: [*range(56, 60)]}
    assert worker({"start": 56, "stop": 61}) == {
        "chunk": None,
        "error": "file rows.jsonl has fewer rows on a worker than here: put it where all read the same",
    }


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("missing", ["model", "file"])
def test_what_a_worker_cannot_read_is_said_once_asked(missing, model, rows, tmp_path):
    named = {"model": model, "file": rows} | {missing: "nowhere.jsonl"}
    classifier = load_classifier(model)
    way = Way(classifier.carried(None), JsonLines(), False, 32)
    worker = on_ray._Worker(RayEngine(named["model"]), {}, way, named["file"], str(tmp_path), object)
    found = worker({"start": 0, "stop": 8})
    assert found["chunk"] is None
    assert "nowhere.jsonl does not exist" in found["error"]


def test_standard_input_is_refused(model, echo):
    message = complaint(lambda: predict_file(echo, "-", None, engine=RayEngine(model)))
    assert message == "standard input is not where workers on Ray can read it: save it to a file"


def test_one_gpu_is_refused(model):
    message = complaint(lambda: RayEngine(model, device="cuda:1"))
    assert message == "device 'cuda:1' is one GPU, and Ray gives each worker its own: give cuda"


def test_ray_that_is_not_installed_is_named_with_its_extra(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    message = complaint(lambda: RayEngine(model))
    assert message == "--engine ray needs the package ray: pip install 'lightning-clf[ray]'"


def test_a_run_that_was_whole_begins_no_workers(model, echo, tmp_path, monkeypatch):
    write_jsonl(tmp_path / "rows.jsonl", ROWS)
    monkeypatch.setattr(on_ray, "_connected", lambda: pytest.fail("Ray was begun"))
    assert list(RayEngine(model).answer(echo, None, "rows.jsonl", [])) == []
