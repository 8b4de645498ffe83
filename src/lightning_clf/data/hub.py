"""Loading a data set from the Hugging Face hub, with one line for everything that can go wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import datasets
from datasets import Dataset, DatasetDict
from datasets.exceptions import DatasetNotFoundError, DatasetsError
from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from lightning_clf.errors import InputError


def load_hub(hub_id: str, subset: str | None, revision: str | None) -> Mapping[str, Dataset]:
    """Load every split of a data set on the hub, or of its copy in the local cache.

    Args:
        hub_id: `owner/name`.
        subset: The configuration, where the data set has several.
        revision: A branch, tag or commit; `None` for the newest.

    Raises:
        InputError: If there is no such data set, it needs a subset, it is a script, or the hub cannot be reached.
    """
    at = f" at revision {revision}" if revision else ""
    try:
        with contextlib.nullcontext() if _answers(hub_id, revision) else _offline():
            loaded = datasets.load_dataset(hub_id, subset, revision=revision)
    except DatasetNotFoundError as error:
        raise InputError(
            f"data.source {hub_id!r}{at} is neither a folder here nor a data set on the hub that can be read: correct "
            "it, or log in with `hf auth login` if it is private or gated"
        ) from error
    except ConnectionError as error:
        raise InputError(
            f"data.source {hub_id!r} is neither a folder here nor in the local cache, and the hub cannot be reached: "
            "connect once, or set data.source to a folder with train, dev and test files"
        ) from error
    except (RuntimeError, ValueError, OSError, DatasetsError) as error:
        raise InputError(_explain(hub_id, at, error)) from error
    if not isinstance(loaded, DatasetDict):
        raise InputError(f"data set {hub_id!r} did not load as splits in memory: choose another data.source")
    return dict(loaded)


def _answers(hub_id: str, revision: str | None) -> bool:
    """Whether the hub answers when it is asked once, whatever it says: `load_dataset` asks it for a minute."""
    try:
        get_hf_file_metadata(hf_hub_url(hub_id, "README.md", repo_type="dataset", revision=revision))
    except (HfHubHTTPError, HFValidationError):  # which load_dataset is told too, and at once
        return True
    except Exception:  # of the client's own HTTP library
        return False
    return True


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Have `load_dataset` look into the local cache alone."""
    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _explain(hub_id: str, at: str, error: Exception) -> str:
    message = " ".join(str(error).split())
    if "scripts are no longer supported" in message:
        return (
            f"data set {hub_id!r}{at} is a loading script, which datasets 4 and later refuse: set data.revision to "
            "refs/convert/parquet, or set data.source to a mirror in Parquet or to local files"
        )
    if "onfig" in message and "vailable" in message:  # "Config name is missing", "BuilderConfig … not found"
        return f"data set {hub_id!r}{at} needs another data.subset ({message[:300]}): set data.subset to one of these"
    return f"data set {hub_id!r}{at} cannot be loaded ({message[:300]}): correct data.source, or give a local folder"
