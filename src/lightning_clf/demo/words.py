"""The plain words of the demo corpus: what fills a `{slot}` of a sentence pattern that is not an entity."""

from __future__ import annotations

from random import Random

_LISTS = {
    "job": "accountant|adviser|analyst|architect|chemist|clerk|designer|driver|editor|engineer|goalkeeper|lawyer|"
    "manager|mechanic|nurse|pilot|programmer|secretary|spokesman|teacher|translator|treasurer",
    "relative": "aunt|brother|cousin|daughter|father|grandson|husband|mother|nephew|niece|sister|son|uncle|wife",
    "official": "mayor|governor|bishop|sheriff|police chief|chief judge|head teacher",
    "facility": "bakery|branch|call centre|data centre|factory|hotel|laboratory|museum|office|power station|refinery|"
    "research centre|shop|training school|warehouse",
    "part": "batteries|brakes|cables|chargers|hinges|lenses|screens|seals|sensors|speakers|switches|tyres",
    "device": "camera|car|drill|drone|engine|laptop|motorcycle|phone|printer|scooter|tablet|tractor|truck|watch",
    "goods": "batteries|bicycles|cement|chemicals|clocks|cheese|furniture|glass|paper|shoes|steel|toys|wine",
    "firm": "airline|bank|brewery|broker|carmaker|charity|chip maker|insurer|law firm|publisher|retailer|"
    "shipping firm|start-up",
    "disaster": "blizzard|drought|earthquake|fire|flood|heatwave|landslide|power cut|storm|tornado",
    "settlement": "city|port|resort|suburb|town|village",
    "adj": "angry|careful|cheerful|famous|former|gifted|honest|nervous|new|old|popular|quiet|retired|stubborn|young",
    "quality": "cheap|clumsy|elegant|expensive|fast|handy|heavy|lightweight|noisy|reliable|slow|sturdy",
    "scene": "cold|crowded|dusty|foggy|green|historic|lively|remote|sleepy|steep|windy|wealthy",
    "crop": "apple|apricot|barley|cherry|coffee|cotton|grape|orange|potato|rice|sage|wheat",
    "matter": "a leaked memo|a patent|an unpaid bill|a broken contract|a stolen design|false advertising|"
    "fishing rights|overtime pay|a copied logo",
    "sport": "chess|cricket|football|golf|handball|hockey|rugby|tennis",
    "instrument": "cello|drums|flute|guitar|organ|piano|trumpet|violin",
    "event": "carnival|chess congress|film festival|jazz festival|marathon|regatta|summit|trade fair|wine fair",
    "month": "January|February|March|April|May|June|July|August|September|October|November|December",
    "weekday": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    "people": "French|German|Italian|Spanish|Polish|Dutch|Greek|Irish|Turkish|Brazilian|Japanese|Kenyan",
    "small": "two|three|four|five|six|seven|eight|nine|ten|twelve|twenty",
    "unit": "million|billion",
    "coin": "dollars|euros|pounds|yen",
    "season": "spring|summer|autumn|winter",
    "illness": "asthma|a fever|flu|a broken wrist|a heart attack|migraine|pneumonia",
    "weather": "rain|snow|fog|hail|sunshine|strong winds",
    "crowd": "doctors|farmers|fans|historians|neighbours|reporters|students|teachers|tourists|voters|witnesses",
    "expert": "analysts|auditors|brokers|economists|investors|lawyers|regulators|shareholders|traders|unions",
    "tester": "critics|customers|dealers|engineers|gamers|mechanics|reviewers|testers",
}
WORDS = {slot: tuple(options.split("|")) for slot, options in _LISTS.items()}


def fill(slot: str, rng: Random) -> list[str]:
    """Draws words for a slot.

    Args:
        slot: A list of words (`job`), or one of `n`, `year`, `day` and `money`, which are made up.
        rng: Source of randomness.

    Returns:
        One token or more.

    Raises:
        KeyError: If no such slot exists.
    """
    if slot == "n":
        value = rng.choice((rng.randint(11, 99), rng.randint(1, 9) * 100, rng.randint(1, 60) * 500))
        return [f"{value:,}"]
    if slot == "year":
        return [str(rng.randint(1950, 2024))]
    if slot == "day":
        return [str(rng.randint(1, 28))]
    if slot == "money":
        return [str(rng.randint(2, 90)), rng.choice(WORDS["unit"]), rng.choice(WORDS["coin"])]
    return rng.choice(WORDS[slot]).split()
