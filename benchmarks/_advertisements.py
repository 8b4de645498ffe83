"""Messages that advertise something, made by filling patterns by rule: no language model."""

import json
import random
import re
from typing import Any

PATTERNS = (
    "{opening} {you} {won} {prize}! {act} {number} {limit}. {small}",
    "{opening} {prize} {waits} for you. {act} {number}. {small}",
    "{you} {won} {prize}. {act} {number} {limit}",
    "{opening} your mobile {offer}. {act} {number} {limit}. {small}",
    "{offer2} this week only: {act} {number}. {small}",
    "Last try to reach you: {prize} {waits}. {act} {number} {limit}",
)
PARTS = {
    "opening": ("URGENT!", "Dear customer,", "Good news:", "FREE message:", "Private!", "Final notice:", "Hi there!"),
    "you": ("you", "your number", "your account", "as a valued customer you"),
    "won": ("won", "have been chosen to receive", "was drawn for", "qualified for", "have been awarded"),
    "prize": (
        "a £{amount} cash prize", "{amount} bonus points", "a weekend in Spain", "the latest camera phone",
        "£{amount} in shopping vouchers", "two tickets for the final", "a free ringtone pack",
    ),
    "waits": ("is waiting", "is still unclaimed", "has been reserved", "is held"),
    "act": ("Call", "Txt CLAIM to", "Reply YES or ring", "To collect phone", "Send WIN to", "Dial"),
    "number": ("0906{digits}", "0871{digits}", "8{short}", "from a landline 0905{digits}"),
    "limit": ("before midnight", "within 24hrs", "by Sunday", "now", "today only"),
    "small": ("T&Cs apply, 18+", "{amount}p/min", "Cost 150p/msg, text STOP to end", "No purchase needed"),
    "amount": ("50", "100", "250", "500", "800", "1000", "2000"),
    "offer": ("is due a free upgrade", "can get half price line rental", "earned unlimited texts for a year"),
    "offer2": ("Double minutes and free calls", "Hot new games for your phone", "Meet singles in your area"),
}  # fmt: skip

LENGTHS = {"digits": 7, "short": 4}


def text(draw: random.Random) -> str:
    """A message that advertises something."""
    found = draw.choice(PATTERNS)
    while field := re.search(r"{(\w+)}", found):
        found = found.replace(field[0], _part(field[1], draw), 1)
    return found[:1].upper() + found[1:]


def _part(name: str, draw: random.Random) -> str:
    if name in LENGTHS:
        return "".join(draw.choices("123456789", k=LENGTHS[name]))
    return draw.choice(PARTS[name])


def respond(body: dict[str, Any]) -> str:
    """A reply with as many texts as a request asks for; the same for the same seed."""
    wanted = re.search(r"Write (\d+) new", body["messages"][-1]["content"])
    draw = random.Random(body["seed"])
    return json.dumps({"texts": [text(draw) for _ in range(int(wanted[1]) if wanted else 1)]})
