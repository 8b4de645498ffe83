"""A prompt in a file, with named fields that are replaced by text and by nothing else."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from lightning_clf.errors import InputError

FIELDS = ("label", "labels", "examples", "text", "count")
_FIELD = re.compile("{(" + "|".join(FIELDS) + ")}")
_SHIPPED = Path(__file__).parent / "prompts"


@dataclass(frozen=True)
class Template:
    """The text of a prompt.

    Attributes:
        content: The text, in which `{label}` and its like stand for what differs from request to request.
    """

    content: str

    @classmethod
    def read(cls, file: str | None, shipped: str, needed: str) -> Template:
        """The prompt of a file.

        Args:
            file: The file; `None` takes the one that is shipped.
            shipped: The name of that.
            needed: The field without which all requests would be alike.

        Raises:
            InputError: As `read_prompt` does, or if the file lacks the field.
        """
        content = read_prompt(str(_SHIPPED / shipped) if file is None else file)
        if f"{{{needed}}}" not in content:
            raise InputError(f"prompt {file} has no field {{{needed}}}: say in it where the {needed} is to stand")
        return cls(content)

    def fill(self, **values: str) -> str:
        """The prompt with its fields replaced; what braces hold else, or a value brings along, stays as it is."""
        return _FIELD.sub(lambda match: values.get(match[1], match[0]), self.content)

    @property
    def digest(self) -> str:
        """Which prompt it is."""
        return hashlib.sha256(self.content.encode()).hexdigest()


def read_prompt(file: str) -> str:
    """The text of a file that says what a language model is told.

    Raises:
        InputError: If it cannot be read, is not UTF-8, or is empty.
    """
    try:
        content = Path(file).expanduser().read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise InputError(f"prompt {file} cannot be read ({error.strerror or error}): correct the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"prompt {file} is not UTF-8 (byte {error.start + 1}): save it as UTF-8") from error
    if not content:
        raise InputError(f"prompt {file} is empty: say in it what labels stand for, or leave out --prompt")
    return content
