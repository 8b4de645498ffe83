"""The guide's lines of YAML, run by the command."""

from __future__ import annotations

import re
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.cli.conftest import SINGLE, says, write_rows

GUIDE = (Path(__file__).parents[2] / "docs" / "dashboards.md").read_text(encoding="utf-8")


def test_the_guides_lines_draw_while_fitting_and_are_silent_in_a_test(command, fit_words, tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", GUIDE, flags=re.DOTALL)
    (tmp_path / "figures.yaml").write_text(block)
    words = fit_words("single", write_rows(tmp_path / "data", SINGLE))
    assert command(*words, "--config", tmp_path / "figures.yaml").code == 0
    (file,) = (tmp_path / "run").rglob("events.out.tfevents.*")
    found = EventAccumulator(str(file), size_guidance={"images": 0}).Reload()
    assert set(found.Tags()["images"]) == {"val/confusion", "val/reliability"}
    tested = command("test", "--ckpt_path", tmp_path / "run" / "best.ckpt")
    assert tested.code == 0
    assert "FigureLogger" not in tested.err


def test_a_figure_of_another_task_is_refused(complaint, fit_words, tmp_path):
    text = "trainer:\n  callbacks:\n    - class_path: FigureLogger\n      init_args: {figures: [agreement]}\n"
    (tmp_path / "figures.yaml").write_text(text)
    words = fit_words("single", write_rows(tmp_path / "data", SINGLE))
    says(complaint(*words, "--config", tmp_path / "figures.yaml"), "'agreement'", "kind single", "use confusion")
    assert not (tmp_path / "run").exists()
