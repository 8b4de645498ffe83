"""An export put on the Hugging Face hub."""

from __future__ import annotations

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import tqdm, validate_repo_id  # type: ignore[attr-defined]

from lightning_clf.errors import InputError, reason

_OF_AN_EXPORT = [
    "*.safetensors",
    "*.onnx",
    "*.pkl",
    "encoder/*",
    "lightning_clf.json",
    "modules.json",
    "config_setfit.json",
    "*_Pooling/*",
    "*_Normalize/*",
]
"""What another format, or another model, may have left in a repository, and would be loaded in place of this one."""


def check_repository(name: str) -> None:
    """Hold a name against what the hub takes, before any work is done.

    Raises:
        InputError: If it is no name of a repository.
    """
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(f"--push-to-hub {name!r} names no repository ({reason(error)}): give OWNER/NAME") from error


def push(folder: str, repository: str) -> str:
    """Upload an export folder; a repository that is not there is made, and is private.

    The weights of an export that was pushed there before are removed by the same commit; what else there is stays.

    Args:
        folder: The export.
        repository: `OWNER/NAME`. Who may write there is said by the environment's `HF_TOKEN`, or the login that
            huggingface_hub keeps.

    Returns:
        The address of what was uploaded.

    Raises:
        InputError: If the hub cannot be reached, or refuses.
    """
    api = HfApi()
    try:
        made = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(
            folder_path=folder,
            repo_id=made.repo_id,
            commit_message="Export of lightning-clf",
            delete_patterns=_OF_AN_EXPORT,
        )
    except Exception as error:  # of the hub, of what carries requests, or of the disk
        for bar in list(tqdm._instances):  # one left open would write into the message and behind it
            bar.close()
        raise InputError(
            f"{repository} could not be pushed ({_said(error)}): log in with `hf auth login` or set HF_TOKEN, and push "
            f"again {folder}, which stands as it was written"
        ) from error
    return str(made)


def _said(error: Exception) -> str:
    """Why an upload failed: of a large file that was not taken only the cause says it."""
    cause = error.__cause__
    return reason(cause if isinstance(error, RuntimeError) and isinstance(cause, Exception) else error)
