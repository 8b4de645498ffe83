"""The plan of the house: imports only go down, and no file is too long to read at a sitting."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lightning_clf"
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST = 300

# the floor of each room and of each file outside of one; rooms that share a floor do not know each other
FLOORS = {
    0: (
        "errors",
        "schemes",
        "span_grid",
        "labels",
        "batch",
        "prediction",
        "primitives",
        "cascade",
        "decision",
        "component",
        "files",
        "counts",
        "loss_terms",
        "precision",
        "specs",
        "bert_like",
    ),
    1: ("encoding", "heads", "losses", "metrics", "finetuning", "last_layer", "packing", "cpu", "gpu"),
    2: ("scorer", "fewer_layers", "network", "exported", "stored", "checkpoint", "figures"),
    3: ("artefact", "graph", "token_logits", "calibration", "trunk", "together", "digest"),
    4: ("data", "auto"),
    5: ("distillation",),
    6: ("modules",),
    7: ("callbacks",),
    8: ("inference", "exporting", "examine", "language_models"),
    9: ("reporting", "serving"),
    10: ("cli",),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
# what is on one floor and knows another all the same, from the lower to the upper
STAIRS = {("schemes", "errors"), ("labels", "errors"), ("labels", "schemes"), ("component", "errors"),
          ("files", "errors"), ("counts", "labels"), ("span_grid", "labels"), ("span_grid", "schemes"),
          ("decision", "labels"), ("decision", "prediction"),
          ("decision", "primitives"), ("decision", "cascade"), ("cascade", "primitives"), ("specs", "component"),
          ("last_layer", "packing"), ("network", "scorer"), ("network", "fewer_layers"), ("graph", "artefact"),
          ("exporting", "inference"),
          ("language_models", "inference"), ("checkpoint", "stored"), ("exported", "network"),
          ("together", "artefact"), ("together", "graph"), ("together", "trunk"), ("digest", "together")}  # fmt: skip
FACADE = {"__init__", "__main__"}  # hand on names, or the call; nobody imports them
BESIDE = {"demo"}  # makes the corpus and the encoder of the quickstart, and uses the house as a user would

NO_LIGHTNING = {
    "scorer",
    "network",
    "fewer_layers",
    "graph",
    "trunk",
    "together",
    "exported",
    "digest",
    "exporting",
    "stored",
    "artefact",
    "checkpoint",
    "token_logits",
    "auto",
    "figures",
    "calibration",
    "reporting",
    "language_models",
    *FLOORS[0],
    *FLOORS[1],
}
NOT_OF = {
    "data": {"modules", "heads", "losses", "network", "artefact"},
    "distillation": {"losses", "metrics"},
    "inference": {"modules", "callbacks"},
    "exporting": {"modules", "callbacks"},
    "reporting": {"modules", "callbacks"},
    "language_models": {"modules", "callbacks"},
}


def room(path: Path) -> str:
    """The room a file is in, or the file itself where it is in none."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Every module a file imports, within functions too, by its full name."""
    package = ["lightning_clf", *path.relative_to(SOURCE).parts[:-1]]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module} if module != "lightning_clf" else {f"lightning_clf.{alias.name}" for alias in node.names}
    return names


def rooms_known(path: Path) -> set[str]:
    """The other rooms a file imports from."""
    own = {name.split(".")[1] for name in imports(path) if name.startswith("lightning_clf.")}
    return own - {room(path)}


def named(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} == set(FLOOR) | FACADE | BESIDE


@pytest.mark.parametrize("path", [path for path in FILES if room(path) in FLOOR], ids=named)
def test_imports_only_go_down(path):
    here = room(path)
    for other in rooms_known(path):
        assert other in FLOOR, f"{named(path)} imports {other}"
        assert FLOOR[other] < FLOOR[here] or (here, other) in STAIRS, f"{named(path)} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_what_a_room_may_not_know(path):
    outside = {name.partition(".")[0] for name in imports(path)}
    if room(path) in NO_LIGHTNING:
        assert not outside & {"lightning", "pytorch_lightning"}
    assert not rooms_known(path) & NOT_OF.get(room(path), set())
    assert "demo" not in rooms_known(path)
    if room(path) != "cli":
        assert not outside & {"jsonargparse", "argparse"} or room(path) in BESIDE


def test_the_check_sees_what_it_is_to_see(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_rooms.SOURCE", tmp_path)
    (tmp_path / "heads").mkdir()
    path = tmp_path / "heads" / "one.py"
    path.write_text(
        "from lightning.pytorch import Trainer\nfrom lightning_clf import modules\nfrom ..data.base import X\n"
        "def late():\n    import lightning_clf.cli.training\n    from . import two\n    from .. import inference\n"
    )
    assert rooms_known(path) == {"modules", "data", "cli", "inference"}
    assert "lightning.pytorch" in imports(path)


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks"])
def test_no_file_is_longer_than_it_should_be(folder):
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert lengths
    assert {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > LONGEST} == {}
