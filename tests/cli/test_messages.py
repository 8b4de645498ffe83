"""Boiling down what jsonargparse says: whatever it is, one line comes out."""

from __future__ import annotations

import pytest

from lightning_clf.cli.messages import explain, unwrapped
from lightning_clf.cli.suggestions import guess, type_names
from lightning_clf.errors import InputError

NESTED = """\
Parser key "model":
  Does not validate against any of the Union subtypes
  Subtypes: [<class 'lightning_clf.modules.base.ClassifierModule'>, <class 'NoneType'>]
  Errors:
    - Problem with given class_path 'lightning_clf.SingleLabelClassifier':
        Parser key "warmup_ratio":
          Expected a <class 'float'>. Got value: abc
    - Expected a <class 'NoneType'>
  Given value type: <class 'dict'>
  Given value: {'class_path': 'SingleLabelClassifier', 'init_args': {'warmup_ratio': 'abc'}}"""


def test_deepest_fault_is_the_one_that_is_told():
    complaint = explain(NESTED, [])
    assert complaint.key == "model.warmup_ratio"
    assert complaint.text == "model.warmup_ratio is abc, but must be a number: correct it"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("something\nquite   new", "something: see --help"),
        ('Parser key "trainer.x":\n  something new', "trainer.x: something new: correct it"),
        ("", ""),
    ],
)
def test_unknown_message_becomes_one_line(message, said):
    assert explain(message, []).text == said


def test_error_of_ours_comes_out_of_what_is_wrapped_around_it():
    def wrap() -> None:
        try:
            raise InputError("data.batch_size is 0: give 1 or more")
        except InputError as error:
            raise ValueError("Does not validate against any of the Union subtypes\nSubtypes: []") from error

    with pytest.raises(InputError, match=r"^data.batch_size is 0: give 1 or more$"), unwrapped():
        wrap()


def test_fault_of_a_class_is_not_called_one_of_its_arguments():
    def wrap() -> None:
        try:
            raise NameError("name 'undefined_name' is not defined")
        except NameError as error:
            raise ValueError("Does not validate against any of the Union subtypes\nSubtypes: []") from error

    with pytest.raises(NameError, match="undefined_name"), unwrapped():
        wrap()


@pytest.mark.parametrize(
    ("types", "names"),
    [
        ("<class 'int'>, <class 'NoneType'>", ["a whole number"]),
        ("typing.Literal['max', 'min']", ["max", "min"]),
        ("list[str], dict[str, float], <class 'NoneType'>", ["a list of texts", "a mapping"]),
        ("tuple[float, float], <class 'NoneType'>", ["a list of 2"]),
        ("tuple[str, ...]", ["a list"]),
        ("<class 'lightning_clf.heads.base.Head'>", ["a Head"]),
        ("<class 'NoneType'>", ["null"]),
    ],
)
def test_types_are_named_in_words(types, names):
    assert type_names(types) == names


@pytest.mark.parametrize(
    ("name", "meant"), [("learning_rat", "learning_rate"), ("Learning_Rate", "learning_rate"), ("x", None)]
)
def test_guess_is_near_or_none(name, meant):
    assert guess(name, ["encoder", "learning_rate"]) == meant


@pytest.mark.parametrize(("package", "wanted"), [("wandb", "lightning-clf[wandb]"), ("comet_ml", "comet_ml")])
def test_package_that_is_missing_is_told_with_the_extra_that_brings_it(package, wanted):
    with pytest.raises(InputError) as refused, unwrapped():
        raise ValueError(f"Problem with given class_path 'x': Requirement '{package}>=0.1' not met. HINT: try")
    assert str(refused.value) == f"package {package} is not installed: pip install '{wanted}'"
