"""What a user asks of a teacher."""

from __future__ import annotations

from lightning_clf.component import Component
from lightning_clf.errors import InputError, check_number


class Distillation(Component):
    """A teacher beside the labels (Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network").

    The loss of each place (an example; for tags a word) is (1 − `weight`) of that to its label and `weight` of
    T² KL(teacher ‖ student), with a softmax or, for any of many labels, a sigmoid of each; for scores the squared
    difference. A row without a label has the second alone.

    Args:
        teacher: An export, a checkpoint, a stock model in a folder or on the hub, or a `.jsonl` file of soft labels.
            Several answer with the mean of their probabilities.
        temperature: T, by which the logits of both are divided.
        weight: What the teacher's answers count beside the labels: 1 is the teacher alone.

    Raises:
        InputError: If a number is out of bounds, or there is no teacher.
    """

    def __init__(
        self,
        teacher: str | list[str],
        temperature: float = 2.0,
        weight: float = 0.9,
    ) -> None:
        self.teachers = [teacher] if isinstance(teacher, str) else list(teacher)
        if not self.teachers:
            raise InputError("model.distillation.teacher is an empty list: name one at least")
        self.temperature = check_number("model.distillation.temperature", temperature, above=0)
        self.weight = check_number("model.distillation.weight", weight, above=0, most=1)
