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
            InputError: If the file cannot be read, is not UTF-8, or lacks the field.
        """
        path = _SHIPPED / shipped if file is None else Path(file).expanduser()
        try:
            content = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise InputError(f"prompt {file} cannot be read ({error.strerror or error}): correct the path") from error
        except UnicodeDecodeError as error:
            raise InputError(f"prompt {file} is not UTF-8 (byte {error.start + 1}): save it as UTF-8") from error
        if f"{{{needed}}}" not in content:
            raise InputError(f"prompt {file} has no field {{{needed}}}: say in it where the {needed} is to stand")
        return cls(content.strip())

    def fill(self, **values: str) -> str:
        """The prompt with its fields replaced; what braces hold else, or a value brings along, stays as it is."""
        return _FIELD.sub(lambda match: values.get(match[1], match[0]), self.content)

    @property
    def digest(self) -> str:
        """Which prompt it is."""
        return hashlib.sha256(self.content.encode()).hexdigest()
