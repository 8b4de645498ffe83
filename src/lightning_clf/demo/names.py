"""Entity strings composed from parts, so that a held-out split has names that training never saw.

The same stems (`Jordan`, `Harbrook`, `Velano`) serve every type: a bare stem says nothing about what it names, and only
the sentence around it decides. Longer forms carry a cue of their own (`Velano Airlines`, `Lake Velano`), which patterns
ask for where their words leave the type open.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

ENTITY_TYPES = ("PER", "ORG", "LOC", "PRODUCT")


def _parts(text: str) -> list[str]:
    return text.split()


# Names that English really uses for several types. Training has them all, so that they work when typed by hand.
_FAMILIAR = _parts(
    """Jordan Paris Washington Amazon Ford Lincoln Chelsea Florence Austin Madison Sydney Houston Dallas Phoenix
    Tesla Mercedes Siemens Morgan Hershey Disney Bentley Ferrari Georgia Victoria Virginia Charlotte Cheyenne
    Dakota Savannah Brooklyn Kent Lancaster York Bristol Berkeley Stanford Hamilton Wellington Darwin Lima
    Santiago Nelson Apple Orange Shell Target Oracle Sage Puma Jaguar Delta Corona May March Will Mark Grant Rose
    Hope Hunter Chase Bill"""
)
_GIVEN = _parts(
    """Adam Agnes Ahmed Alice Amir Amy Andrea Anna Anton Arthur Beatrice Ben Boris Carla Carlos Cecil Clara Claude
    Colin Dana Daniel David Deepa Diego Dora Edgar Edith Elena Emil Emma Erik Eva Fatima Felix Frank Gemma George
    Gita Greta Hana Harold Hassan Helen Henry Hugo Ida Igor Ingrid Irene Ivan Jack James Jane Jin Joan John Jorge
    Julia Karen Karl Keiko Kofi Laura Leila Leo Lena Liam Linda Louis Lucy Luis Magnus Marco Maria Martha Mei Mia
    Miguel Mona Nadia Nina Noah Nora Olga Oliver Omar Oscar Pablo Paul Pavel Petra Priya Rachel Rafael Ravi Rita
    Robert Rosa Ruth Samir Sara Sofia Stefan Susan Tariq Tessa Thomas Tom Ursula Vera Victor Walter Wanda Yusuf
    Yuki Zara"""
)
_HEADS = _parts(
    """Ash Bar Beck Black Brad Bur Cold Crow Dun East Elm Fair Glen Gold Grim Hal Har Hart Hazel Hol Kings Lang Mal
    Mid Mill Nor Oak Ox Red Rock Shel Stan Stone Sut Thorn Wake West Whit Win Wood"""
)
_TAILS = _parts(
    """borough bridge brook bury by combe cote croft dale den field ford gate ham hurst land ley mere more stead ton
    well wick worth"""
)
_ONSETS = _parts("b br c d dr f g gr h j k kr l m n p pr qu r s sh sk st t tr v w y z")
_VOWELS = _parts("a e i o u")
_CODAS = ["", "", "", "l", "n", "r", "s", "m"]
_ENDS = _parts("a o e ix an en in on ar er is os us eth ant ovic ara elli ini ova anto escu ski")

_WORDS = {
    "firm": "Airlines|Bank|Brothers|Chemicals|Corp|Electric|Energy|Foods|Foundation|Group|Holdings|Inc|Industries|"
    "Institute|Labs|Ltd|Media|Motors|Partners|Press|Railways|Software|Steel|Systems|Telecom|Trust",
    "house": "University of|Bank of|Museum of|College of|Port Authority of",
    "team": "United|Rovers|City|Wanderers|Athletic",
    "site": "Bay|Beach|County|Creek|Falls|Harbour|Heights|Hills|Island|Park|Point|Springs|Valley",
    "spot": "Cape|Fort|Lake|Mount|New|North|Port|San|South|Upper",
    "tier": "Pro|Max|Mini|Plus|Lite|Air|Classic|Sport|Ultra",
    "particle": "van|de|von|al|da",
}
# Per type: strings that need the sentence to be understood, and strings that carry their own cue.
_OPEN_FORMS = {
    "PER": ("{stem}", "{stem}", "{given}"),
    "ORG": ("{stem}", "{stem}", "{stem}", "{letters}"),
    "LOC": ("{stem}",),
    "PRODUCT": ("{stem}", "{stem}", "{stem}", "{letters}"),
}
_CLEAR_FORMS = {
    "PER": (
        *("{any_given} {stem}",) * 5,
        "{initial} {stem}",
        "{any_given} {initial} {stem}",
        "{any_given} {stem} - {stem}",
        "{any_given} {particle} {stem}",
    ),
    "ORG": (
        *("{stem} {firm}",) * 6,
        "{stem} & {stem}",
        "{stem} and Sons",
        "{house} {stem}",
        "{stem} {team}",
        "{stem} {stem} {firm}",
    ),
    "LOC": ("{stem} {site}", "{stem} {site}", "{spot} {stem}", "{spot} {stem}", "{spot} {stem} {site}"),
    "PRODUCT": ("{stem} {model}", "{stem} {model}", "{stem} {tier}", "{stem} {model} {tier}"),
}


@dataclass(frozen=True)
class NamePool:
    """Parts that one split composes its entity strings from.

    Attributes:
        stems: Stems every type shares.
        given: Given names that stand alone.
        any_given: Given names that stand before a stem.
        letters: Short forms in capitals, shared by ORG and PRODUCT.
    """

    stems: tuple[str, ...]
    given: tuple[str, ...]
    any_given: tuple[str, ...]
    letters: tuple[str, ...]

    def draw(self, entity_type: str, rng: Random, *, clear: bool) -> list[str]:
        """Composes one entity string.

        Args:
            entity_type: One of `ENTITY_TYPES`.
            rng: Source of randomness.
            clear: Whether the string itself has to tell its type, the sentence around it being open.

        Returns:
            The tokens of the string.
        """
        forms = _CLEAR_FORMS[entity_type] if clear or rng.random() < 0.35 else _OPEN_FORMS[entity_type]
        return [self._part(word, rng) for piece in rng.choice(forms).split() for word in _expand(piece, rng)]

    def _part(self, piece: str, rng: Random) -> str:
        pools = {"{stem}": self.stems, "{given}": self.given, "{any_given}": self.any_given, "{letters}": self.letters}
        if piece in pools:
            return rng.choice(pools[piece])
        if piece == "{initial}":
            return f"{rng.choice('ABCDEFGHJKLMNPRSTVW')}."
        if piece == "{model}":
            lettered = f"{rng.choice('ACEGSTXZ')}{rng.randint(1, 90)}"
            return rng.choice((str(rng.randint(2, 12)), str(rng.randint(2, 19) * 50), lettered))
        return piece


def _expand(piece: str, rng: Random) -> list[str]:
    """Replaces a slot of fixed words by one of them, which may be several tokens long."""
    slot = piece.strip("{}")
    return rng.choice(_WORDS[slot].split("|")).split() if slot in _WORDS else [piece]


def _invented(rng: Random) -> str:
    middle = rng.choice(_CODAS) + rng.choice("bcdfgklmnptvz") + rng.choice(_VOWELS) if rng.random() < 0.4 else ""
    end = rng.choice("lnrsmtvdkz") + rng.choice(_ENDS)
    return (rng.choice(_ONSETS) + rng.choice(_VOWELS) + middle + end).capitalize()


def _take(parts: list[str], shares: tuple[float, float]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    first, second = round(len(parts) * shares[0]), round(len(parts) * (shares[0] + shares[1]))
    return tuple(parts[:first]), tuple(parts[first:second]), tuple(parts[second:])


def name_pools(rng: Random) -> dict[str, NamePool]:
    """Deals the parts of names out to the splits, none to two of them.

    Args:
        rng: Source of randomness.

    Returns:
        One pool for each of `train`, `dev` and `test`.
    """
    places = [head + tail for head in _HEADS for tail in _TAILS]
    # A dictionary keeps one of each in the order drawn; the order of a set differs between runs of Python.
    rng.shuffle(places)
    stems = list(dict.fromkeys(places[:380] + [_invented(rng) for _ in range(420)]))
    letters = list(dict.fromkeys("".join(rng.choice("BCDFGHKLMNPRSTVXZ") for _ in range(3)) for _ in range(120)))
    given = list(_GIVEN)
    for parts in (stems, letters, given):
        rng.shuffle(parts)
    splits = ("train", "dev", "test")
    dealt = {
        name: dict(zip(splits, _take(parts, (0.65, 0.12)), strict=True))
        for name, parts in (("stems", stems), ("letters", letters), ("given", given))
    }
    dealt["stems"]["train"] += tuple(_FAMILIAR)
    return {
        split: NamePool(
            stems=dealt["stems"][split],
            given=dealt["given"][split],
            any_given=dealt["given"]["train"] + (dealt["given"][split] if split != "train" else ()),
            letters=dealt["letters"][split],
        )
        for split in splits
    }
