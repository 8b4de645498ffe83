"""What the demo corpus can say: verbs with the types they take, predicates, and the phrases that go around them.

`{PER}` is an entity whose type the words around it decide, so any string may stand there. `{PER!}` asks for a string
that carries its own cue, because the same words would suit another type. Other slots are plain words (`words.py`) or
phrases (`PHRASES`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """A verb with what stands before and behind it.

    Attributes:
        subject: Who does it.
        base: The verb's base form; `past`, `participle` and `gerund` are its other forms.
        past: Past tense.
        participle: Past participle.
        gerund: Present participle.
        object: Whom or what it is done to.
        tail: What may follow; can be empty.
    """

    subject: str
    base: str
    past: str
    participle: str
    gerund: str
    object: str
    tail: str


_FRAMES = """
{ORG} | hire hired hired hiring | {PER} | as its new {job}
{ORG} | dismiss dismissed dismissed dismissing | {PER} | over {matter}
{ORG} | acquire acquired acquired acquiring | {ORG} | for {money}
{ORG} | sue sued sued suing | {ORG} | over {matter}
{ORG} | launch launched launched launching | {PRODUCT} | at a {event} in {LOC}
{ORG} | recall recalled recalled recalling | {PRODUCT} | because of faulty {part}
{ORG} | open opened opened opening | a {facility} in {LOC} |
{ORG} | close closed closed closing | the {facility} near {LOC} | after a {disaster}
{ORG} | supply supplied supplied supplying | {ORG} | with {goods} and {part}
{ORG} | sponsor sponsored sponsored sponsoring | a {event} in {LOC} | with {money}
{ORG} | pay paid paid paying | {PER} | {money}
{ORG} | ship shipped shipped shipping | {PRODUCT} | to {n} customers in {LOC}
{ORG} | lend lent lent lending | {PER} | a {PRODUCT}
{ORG} | choose chose chosen choosing | {LOC} | for its next {facility}
{ORG} | defeat defeated defeated defeating | {ORG} | in the {sport} final
{ORG!} | criticise criticised criticised criticising | {PER!} | in a letter to {crowd}
{ORG!} | thank thanked thanked thanking | {ORG!} | for the {goods}
{PER!} | criticise criticised criticised criticising | {ORG!} | in an interview with {people} television
{PER!} | thank thanked thanked thanking | {PER!} | for the {device}
{PER!} | trust trusted trusted trusting | {ORG!} | more than {PER!}
{PER} | visit visited visited visiting | {LOC} | with a {relative}
{PER} | marry married married marrying | {PER} | in a chapel near {LOC}
{PER} | teach taught taught teaching | {PER} | to play the {instrument}
{PER} | leave left left leaving | {LOC} | on foot with {small} suitcases
{PER} | cross crossed crossed crossing | {LOC} | by bicycle in {small} days
{PER} | paint painted painted painting | {LOC} | at dawn in the {weather}
{PER} | govern governed governed governing | {LOC} | for {small} years
{PER} | drive drove driven driving | a {PRODUCT} | from {LOC} to {LOC}
{PER} | buy bought bought buying | a {PRODUCT} | for {n} {coin}
{PER} | repair repaired repaired repairing | {PRODUCT} | with {small} new {part}
{PER} | steal stole stolen stealing | a {PRODUCT} | from a car park in {LOC}
{PER} | found founded founded founding | {ORG} | with a loan of {money}
{PER} | join joined joined joining | {ORG} | as a {job}
{PER} | lead led led leading | {ORG} | through bankruptcy
{PER} | audit audited audited auditing | {ORG} | for {small} years
{PER} | coach coached coached coaching | {ORG} | to the {sport} title
{PER} | invite invited invited inviting | {PER} | to a wedding in {LOC}
{PER} | phone phoned phoned phoning | {PER} | about the {relative}
{PER} | interview interviewed interviewed interviewing | {PER} | for {people} television
{PER} | review reviewed reviewed reviewing | {PRODUCT} | for a {people} magazine
{LOC} | elect elected elected electing | {PER} | as its {official}
{LOC} | host hosted hosted hosting | a {event} | in {year}
{LOC} | ban banned banned banning | {PRODUCT} | from its schools
{PRODUCT} | replace replaced replaced replacing | {PRODUCT} | in shops across {LOC}
{PRODUCT} | outsell outsold outsold outselling | {PRODUCT} | by {n} units
{PRODUCT} | carry carried carried carrying | {PER} | safely across {LOC}
the {disaster} | destroy destroyed destroyed destroying | {LOC} | in {year}
the {disaster} | trap trapped trapped trapping | {PER} | in a lift in {LOC}
the {disaster} | cost cost cost costing | {ORG} | {money}
{crowd} | recognise recognised recognised recognising | {PER} | from an old photograph
{crowd} | love loved loved loving | {LOC} | for its {crop} fields
{expert} | question questioned questioned questioning | {ORG} | about the missing {money}
{expert} | value valued valued valuing | {ORG} | at {money}
{tester} | praise praised praised praising | {PRODUCT} | for its {part}
{tester} | return returned returned returning | {PRODUCT} | with broken {part}
police | arrest arrested arrested arresting | {PER} | near {LOC}
police | evacuate evacuated evacuated evacuating | {LOC} | before the {disaster}
a judge | fine fined fined fining | {ORG} | {money}
a judge | send sent sent sending | {PER} | to prison for {small} years
{who} | blame blamed blamed blaming | {PER!} | for the {disaster}
{who} | warn warned warned warning | {ORG!} | about the {disaster}
{who} | buy bought bought buying | shares in {ORG} | for {money}
{who} | rent rented rented renting | a flat in {LOC} | from {PER}
{who} | nurse nursed nursed nursing | {PER} | through {illness}
"""


def _frame(line: str) -> Frame:
    subject, verbs, object_, tail = (part.strip() for part in line.split("|"))
    base, past, participle, gerund = verbs.split()
    return Frame(subject, base, past, participle, gerund, object_, tail)


FRAMES = tuple(_frame(line) for line in _FRAMES.strip().splitlines())

# What an entity of a type can do without a second party.
PREDICATES = {
    "PER": """was born in {LOC} in {year}; grew up on a farm near {LOC}; works for {ORG} as a {job};
    suffers from {illness}; retired from {ORG} after {small} years; moved from {LOC} to {LOC};
    speaks {people} and plays the {instrument}; forgot to return a {PRODUCT}; apologised to {PER} for the {weather};
    became {official} of {LOC} in {year}; sold a {PRODUCT} to a {job}; lost a {sport} match against {PER};
    cooked dinner for {PER} and {PER}; shook hands with {PER}; fell asleep on the train to {LOC};
    resigned as chairman of {ORG}; borrowed {money} from {ORG}; wrote a book about {PER!}; wrote a song about {LOC!};
    wrote a column about {ORG!}; has never been to {LOC}; owns a {quality} {PRODUCT};
    lives above a {facility} in {LOC}; has a {relative} in {LOC} and a {relative} in {LOC}""",
    "ORG": """reported a loss of {money}; filed for bankruptcy in {month}; employs {n} people in {LOC}; cut {n} jobs;
    raised the price of {PRODUCT}; makes {goods} and {goods}; named {PER} as chief executive; went public in {year};
    moved its headquarters from {LOC} to {LOC}; merged with {ORG}; has a stake in {ORG}; paid a fine of {money};
    issued shares worth {money}; was founded by {PER} in {year}; stopped making {PRODUCT};
    settled a lawsuit with {ORG}; delivers {goods} to shops in {LOC}; lost the {sport} final to {ORG};
    trains {n} nurses a year; hopes to merge with {ORG}""",
    "LOC": """lies {n} kilometres north of {LOC}; was hit by a {disaster}; has a population of {n}; has no {facility};
    is known for its {crop} fields; hosted a {event} in {year}; was flooded after days of {weather};
    borders {LOC} to the south; welcomed {n} visitors last {season}; lost its railway station in {year};
    is twinned with {LOC}; has a harbour and a {facility}; is the birthplace of {PER}; is a short drive from {LOC};
    was the scene of a {disaster} in {month}; has been {people} since {year}""",
    "PRODUCT": """costs {n} {coin}; comes with {small} spare {part}; runs on solar power; was designed by {PER};
    was unveiled by {ORG} at a {event}; sold {n} units; weighs {small} kilograms; has faulty {part};
    won a design award; is assembled in {LOC}; ships with a free {device}; replaces {PRODUCT}; broke down near {LOC};
    is cheaper than {PRODUCT}; has a {quality} engine; overheats in the {weather}""",
    "someone": "held a press conference; refused to comment; asked for more time; blamed the {weather}",
    "something": "made headlines in {LOC}; surprised {crowd}; was seen as a success; was discussed by {expert}",
}

# How a frame becomes a clause. S, O, T: subject, object, tail; b, p, pp, g: forms of the verb; W, X: who or which for
# subject and object; V, U: a predicate of the subject's or the object's.
FRAME_CLAUSES = {
    "active": "S p O T",
    "passive": "O was pp by S T",
    "future": "S will b O T",
    "negative": "S did not b O T",
    "perfect": "S had already pp O T",
    "chance": "S may b O T",
    "expected": "nobody expected S to b O T",
    "passive future": "O will be pp by S T",
    "cleft": "it was S that p O T",
    "object cleft": "it was O that S p T",
    "relative": "S , W p O T , V",
    "object relative": "O , X S p T , U",
    "reduced relative": "O , pp by S T , U",
    "gerund": "after g O T , S V",
    "passive gerund": "after being pp by S T , O U",
    "coordination": "S p O T and V",
    "pair": "S p both O and O T",
    "report": "{who} says S p O T",
    "passive report": "{who} says O was pp by S T",
    "question": "did S b O T ?",
    "why": "why was O pp by S T ?",
}
PREDICATE_CLAUSES = {
    "plain": "S V",
    "relative": "S , W V , U",
    "coordination": "S V and U",
    "report": "{who} says S V",
    "fact": "it is true that S V",
    "doubt": "{crowd} doubt that S V",
    "surprise": "what surprised {PER!} is that S V",
    "besides": "besides , S V",
    "like": "S , like S , V",
    "parenthesis": "S , they say , V",
}
JOINS = "A , but B; A because B; A while B; although A , B; A , and B; when A , B; since A , B; A , so B"
QUOTES = '" A , " said {PER}; " A , " said {who}; according to {who} , A; {crowd} in {LOC} heard that A'

# Phrases a clause may start or end with; circumstances only where somebody acts.
TIMES = """in {month}; last {weekday}; on {day} {month}; in {year}; during the {month} {event}; despite the {weather};
after a long {season}; for the first time since {year}; in early {month}"""
CIRCUMSTANCES = """during a visit to {LOC}; in {LOC}; near {LOC}; on the road to {LOC}; at a {event} in {LOC};
in the presence of {PER}; on behalf of {PER!}; on behalf of {ORG!}; with a loan from {ORG}; thanks to a {PRODUCT};
with the help of {PER!}; with the help of {ORG!}; without telling {PER}"""

# Fuller ways to mention an entity, and people known by what they have to do with one.
PHRASES = {
    "PER": """the {job} {PER}; Dr. {PER}; Mr. {PER}; Ms. {PER}; {PER} , a {adj} {job} ,; {PER} , a {job} at {ORG} ,;
    the {official} of {LOC} , {PER} ,; {LOC} {official} {PER}; {ORG} {job} {PER}; {adj} {job} {PER}; {PER} of {ORG!};
    {PER} , a {relative} of {PER} ,; {people} {job} {PER}""",
    "ORG": """the {firm} {ORG}; {ORG} , a maker of {goods} ,; {LOC} {firm} {ORG}; {ORG} , a {people} {firm} ,;
    {PER!} 's {firm} {ORG}; {ORG} , the {firm} behind {PRODUCT} ,; {people} {firm} {ORG}""",
    "LOC": """the {settlement} of {LOC}; {LOC} , a {scene} {settlement} ,; {scene} {LOC}; {LOC} , south of {LOC} ,;
    the {people} {settlement} of {LOC}; the outskirts of {LOC}""",
    "PRODUCT": """the {PRODUCT}; the {PRODUCT}; the {PRODUCT}; the {quality} {PRODUCT}; the {ORG!} {PRODUCT!};
    {ORG!} 's {PRODUCT}; the {PRODUCT} {device}; {PRODUCT} , a {quality} {device} ,; the new {PRODUCT}""",
    "who": """the {official} of {LOC}; a spokesman for {ORG}; {PER} 's {relative}; a {job} at {ORG};
    a {job} from {LOC}; the owner of the {PRODUCT}; a resident of {LOC}; {ORG} 's {job}; the {adj} {job};
    the {relative} of {PER}""",
}

# Sentences without entities, in which words that are names elsewhere mean something else.
PLAIN = """May was unusually cold in most of the country; apple trees blossom in late {season};
the {job} may buy an apple; they had to ford the river after the {disaster}; will the {crowd} approve the budget ?;
mark the date in your diary; grant money paid for the new {facility}; shell fragments were found on the beach;
target prices for {crop} fell in {month}; the price of orange juice rose by {n} {coin};
rose bushes need little water in {season}; hope faded after days of {weather}; the bill was paid in {month};
March and April bring {weather}; a {quality} {device} is all you need; nobody answered when the {job} rang;
the delta was covered in {weather}; sage and {crop} grow side by side; chase the dog away from the {crop} field;
the jaguar is a shy animal; {crowd} will march on {weekday}; the hunter slept until noon;
I may hope for {weather} on {weekday}; oracle bones are {n} years old"""
