"""Whether data and a trained module speak of the same labels."""

from __future__ import annotations

from lightning_clf.errors import InputError
from lightning_clf.labels import LabelSpace


def check_agreement(data: LabelSpace, model: LabelSpace) -> None:
    """Hold the data's labels against those a module was trained with.

    Args:
        data: What the datamodule says.
        model: What the module, or the checkpoint, says.

    Raises:
        InputError: If they differ; it names the first label that does, and the key to change.
    """
    if data == model:
        return
    if (data.kind, data.range) != (model.kind, model.range) and data.kind == model.kind:
        raise InputError(
            f"data.score_range is {list(data.range or ())}, but the model was trained on {list(model.range or ())}: "
            "set data.score_range to that, or train anew"
        )
    if data.kind != model.kind or (data.scheme == "none") != (model.scheme == "none"):
        raise InputError(f"the data's labels are {_sort(data)}, but the model's are {_sort(model)}: give data that fit")
    mine, theirs = (space.entity_types or space.names for space in (data, model))
    known = ", ".join(theirs[:12]) + (" …" if len(theirs) > 12 else "")
    for name in mine:
        if name not in theirs:
            raise InputError(
                f"label {name!r} of the data is not one the model was trained with ({known}): take it out of "
                "data.labels and the data, or train anew"
            )
    for name in theirs:
        if name not in mine:
            raise InputError(
                f"label {name!r} of the model is not among the data's: leave data.labels out to take the model's "
                f"({known}), or train anew"
            )
    if data.scheme != model.scheme:
        raise InputError(
            f"data.model_scheme is {data.scheme}, but the model writes {model.scheme}: leave out data.model_scheme "
            "and data.labels, or train anew"
        )
    place = next(place for place, pair in enumerate(zip(mine, theirs, strict=True)) if pair[0] != pair[1])
    raise InputError(
        f"data.labels has {mine[place]!r} where the model has {theirs[place]!r}: the order must be that of training "
        f"({known}), or leave data.labels out to take it"
    )


def _sort(labels: LabelSpace) -> str:
    return f"of kind {labels.kind}" + (f" with scheme {labels.scheme}" if labels.scheme else "")
