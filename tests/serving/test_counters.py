"""Counts in the text format of Prometheus, against the numbers by hand."""

from __future__ import annotations

from lightning_clf.serving.counters import SECONDS, Counters


def samples(text):
    """Every sample by its name and labels."""
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_nothing_yet():
    found = samples(Counters().exposition(0))
    assert set(found.values()) == {"0", "0.0"}
    assert f'lightning_clf_request_seconds_bucket{{le="{SECONDS[0]}"}}' in found


def test_counts():
    counters = Counters()
    for status, seconds in ((200, 0.005), (200, 0.0051), (422, 0.3), (200, 11.0)):
        counters.request(status, seconds)
    counters.batch(3, 60)
    counters.batch(1, 7)
    counters.consulted(3, 1)
    counters.consulted(0, 2)
    text = counters.exposition(9)
    found = samples(text)
    assert found['lightning_clf_requests_total{status="200"}'] == "3"
    assert found['lightning_clf_requests_total{status="422"}'] == "1"
    assert found["lightning_clf_texts_total"] == "4"
    assert found["lightning_clf_batches_total"] == "2"
    assert found["lightning_clf_batch_tokens_total"] == "67"
    assert found["lightning_clf_queue_depth"] == "9"
    assert found['lightning_clf_language_model_texts_total{outcome="answered"}'] == "3"
    assert found['lightning_clf_language_model_texts_total{outcome="failed"}'] == "3"
    buckets = [int(found[f'lightning_clf_request_seconds_bucket{{le="{bound}"}}']) for bound in (*SECONDS, "+Inf")]
    assert buckets == [1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4]  # a bound belongs to its bucket, and buckets add up
    assert found["lightning_clf_request_seconds_count"] == "4"
    assert float(found["lightning_clf_request_seconds_sum"]) == 11.3101


def test_every_metric_says_what_it_is():
    lines = Counters().exposition(0).splitlines()
    names = {line.split()[2] for line in lines if line.startswith("# HELP ")}
    assert names == {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    assert len(names) == 7
    assert all(any(line.startswith(name) for name in names) for line in lines if not line.startswith("#"))


def test_batches_are_counted_with_their_padding(asked, classifier):
    ask = asked("single", max_batch_tokens=24, max_wait_ms=0)
    texts = ["joy", "joy", "the film was a great joy"]
    lengths = [len(row["input_ids"]) for row in classifier("single").inputs.encode(
        [classifier("single").inputs.read(text, "") for text in texts])]  # fmt: skip
    assert 3 * lengths[2] > 24 >= 2 * lengths[0]
    assert lengths[0] == lengths[1] < lengths[2]
    assert ask({"inputs": texts}).status == 200
    found = samples(ask.get("/metrics").body.decode())
    assert found["lightning_clf_texts_total"] == "3"
    assert found["lightning_clf_batches_total"] == "2"
    assert found["lightning_clf_batch_tokens_total"] == str(2 * lengths[0] + lengths[2])
    assert ask.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
