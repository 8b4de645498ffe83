"""Language models that are asked, and what is paid for the replies. Needs the extra `llm`."""

from lightning_clf.language_models.causal import CausalLM
from lightning_clf.language_models.cost import Budget, Prices, Usage
from lightning_clf.language_models.endpoint import Endpoint
from lightning_clf.language_models.journal import Journal
from lightning_clf.language_models.model import LanguageModel
from lightning_clf.language_models.prompt import Answer, Message, Prompt, Reply

__all__ = [
    "Answer",
    "Budget",
    "CausalLM",
    "Endpoint",
    "Journal",
    "LanguageModel",
    "Message",
    "Prices",
    "Prompt",
    "Reply",
    "Usage",
]
