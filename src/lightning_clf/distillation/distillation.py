"""What a user asks of a teacher."""

from __future__ import annotations

from lightning_clf.component import Component
from lightning_clf.errors import InputError, a_type, check_number


class Distillation(Component):
    """A teacher beside the labels (Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network").

    The loss of each place (an example; for tags a word) is (1 − `weight`) of that to its label and `weight` of
    T² KL(teacher ‖ student), with a softmax or, for any of many labels, a sigmoid of each; for scores the squared
    difference. A row without a label has the second alone.

    With `hidden_weight` or `attention_weight` the teacher is computed in every step, beside the student, and its layers
    are learned too (`LayerLoss`); there is one teacher then, with the student's tokenizer. Else its answers to train
    are computed once and kept in the cache.

    Args:
        teacher: An export, a checkpoint, a stock model in a folder or on the hub, or a `.jsonl` file of soft labels.
            Several answer with the mean of their probabilities.
        temperature: T, by which the logits of both are divided.
        weight: What the teacher's answers count beside the labels: 1 is the teacher alone.
        hidden_weight: What its hidden states count, beside the whole of that.
        attention_weight: What its last layer's attention counts.

    Raises:
        InputError: If a number is out of bounds, there is no teacher, or layers are to be learned of what has none.
    """

    def __init__(
        self,
        teacher: str | list[str],
        temperature: float = 2.0,
        weight: float = 0.9,
        hidden_weight: float = 0.0,
        attention_weight: float = 0.0,
    ) -> None:
        names = teacher if isinstance(teacher, list | tuple) else [teacher]
        for name in names:
            if not isinstance(name, str):
                raise InputError(
                    f"model.distillation.teacher is {a_type(name)}, and no name of a folder, a file or a hub id: write "
                    "a model and its tokenizer to a folder with save_pretrained, and name that"
                )
        self.teachers = list(names)
        if not self.teachers:
            raise InputError("model.distillation.teacher is an empty list: name one at least")
        self.temperature = check_number("model.distillation.temperature", temperature, above=0)
        self.weight = check_number("model.distillation.weight", weight, above=0, most=1)
        self.hidden_weight = check_number("model.distillation.hidden_weight", hidden_weight, least=0)
        self.attention_weight = check_number("model.distillation.attention_weight", attention_weight, least=0)
        if self.follows_layers and (len(self.teachers) > 1 or is_file(self.teachers[0])):
            raise InputError(
                "model.distillation.hidden_weight and attention_weight are of the layers of one model, and "
                f"model.distillation.teacher is {', '.join(self.teachers)}: leave them out, or name one model"
            )

    @property
    def follows_layers(self) -> bool:
        """Whether layers are learned, and not answers alone."""
        return self.hidden_weight > 0 or self.attention_weight > 0


def is_file(teacher: str) -> bool:
    """Whether a teacher is a file of soft labels."""
    return teacher.endswith(".jsonl")
