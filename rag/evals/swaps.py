"""A value at its place in a text; out, another that a person would take for the same kind of thing, or None in doubt.

    a number, a year, a day of the month   ->  one of as many digits, of about that time, of any month
    a month, a day of the week, 'seven'    ->  another of that closed class
    a country, a state, a city             ->  another one; only those that are listed here are known to be such
    a person                               ->  another of as many words; known by a given name, a title or a calling
    a name with what it names in it        ->  the same with another proper part: 'Vistula River', 'Treaty of Paris'

Any other name is left alone: what it names would be a guess, and a text that says 'rejected in Hispania' where it said
'in August' is one that nobody can answer from.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from rag.text import STOPWORDS

_NUMBER = re.compile(r"\d[\d,.]*")
_YEAR = re.compile(r"1\d{3}|20\d{2}")
_NAME = re.compile(r"[A-Z][\w'’-]+(?: (?:of |the |de )*[A-Z][\w'’-]+)*")
_AWAY = 40  # years by which a year is moved at most
_NOW = 2025  # no text tells of a later year as past
_LAST = 28  # a day that every month has
_MONTHS = "January February March April May June July August September October November December"
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_WORDS = "two three four five six seven eight nine ten eleven twelve"
_COUNTRIES = """
    Argentina|Australia|Austria|Belgium|Bolivia|Brazil|Bulgaria|Canada|Chile|China|Colombia|Croatia|Cuba|
    Denmark|Egypt|England|Ethiopia|Finland|France|Germany|Ghana|Greece|Hungary|Iceland|India|Indonesia|
    Iran|Iraq|Ireland|Israel|Italy|Jamaica|Japan|Jordan|Kenya|Kuwait|Lebanon|Libya|Mexico|Mongolia|
    Morocco|Nepal|Nigeria|Norway|Pakistan|Peru|Poland|Portugal|Qatar|Romania|Russia|Scotland|Serbia|
    Spain|Sweden|Switzerland|Syria|Thailand|Tunisia|Turkey|Uganda|Ukraine|Venezuela|Vietnam|Wales|Yemen|
    Zambia|New Zealand|South Africa|Saudi Arabia|Costa Rica|Sri Lanka
"""
_STATES = """
    Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Idaho|
    Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|
    Mississippi|Missouri|Montana|Nebraska|Nevada|Ohio|Oklahoma|Oregon|Pennsylvania|Tennessee|Texas|Utah|
    Vermont|Virginia|Wisconsin|Wyoming|New Jersey|New Mexico|North Carolina|South Carolina|Rhode Island|
    South Dakota
"""
_CITIES = """
    Amsterdam|Athens|Atlanta|Baghdad|Baltimore|Bangkok|Barcelona|Beijing|Belgrade|Bendigo|Berlin|Bologna|
    Boston|Bristol|Brisbane|Brussels|Budapest|Cairo|Canterbury|Cardiff|Charleston|Chicago|Cologne|
    Copenhagen|Dallas|Delhi|Denver|Detroit|Dresden|Dublin|Edinburgh|Florence|Fresno|Geneva|Genoa|Glasgow|
    Hamburg|Hanoi|Helsinki|Houston|Istanbul|Jacksonville|Jakarta|Jerusalem|Kiev|Lagos|Leeds|Leipzig|Lima|
    Lisbon|Liverpool|London|Lyon|Madrid|Manchester|Marseille|Melbourne|Miami|Milan|Minneapolis|Montreal|
    Moscow|Mumbai|Munich|Nairobi|Naples|Nashville|Newcastle|Norwich|Nuremberg|Orleans|Osaka|Oslo|Oxford|
    Paris|Philadelphia|Phoenix|Pittsburgh|Portland|Prague|Quebec|Riga|Rome|Rotterdam|Rouen|Seattle|
    Seville|Shanghai|Sheffield|Stockholm|Strasbourg|Sydney|Tokyo|Toronto|Toulouse|Tours|Turin|Vancouver|
    Venice|Vienna|Warsaw|York|Zurich|Los Angeles|San Diego|San Francisco|San Jose|New Orleans|Las Vegas|
    Hong Kong|Buenos Aires
"""
_MEN = """
    Adam Albert Alexander Alfred Andrew Anthony Antoine Arthur Benjamin Bernard Carl Charles Christopher Daniel David
    Edmund Edward Ernest Francis Frank Franklin Frederick Geoffrey George Gerald Gilbert Harold Harry Henri Henry
    Herbert Hugh Isaac Jack Jacob Jacques James Jan Jean Jeffrey Jeremy John Joseph Josef Juan Karl Kenneth Lawrence
    Leonard Leslie Louis Ludwig Manuel Mark Martin Matthew Max Michael Nicholas Nikola Oliver Oscar Otto Patrick Paul
    Peter Philip Pierre Ralph Raymond Richard Robert Roger Roland Ronald Samuel Sidney Simon Stephen Steven Theodore
    Thomas Timothy Victor Vincent Walter Wilhelm William Bill Bob Jim Joe Ron Tom Steve Mike Dan Fred Russell Elie
    Emile
"""
_WOMEN = """
    Agnes Alice Amelia Andrea Ann Anna Anne Barbara Beatrice Betty Carol Caroline Catherine Charlotte Christina Clara
    Diana Dorothy Edith Eleanor Elena Elizabeth Emily Emma Eva Florence Frances Grace Hannah Harriet Helen Irene
    Isabel Jane Janet Jennifer Jessica Joan Julia Karen Katherine Laura Linda Lisa Louise Lucy Margaret Maria Marie
    Martha Mary Nancy Olga Pamela Patricia Rachel Rebecca Rose Ruth Sarah Sophia Susan Teresa Victoria Virginia Vivian
    Wendy
"""
_SURNAMES = """
    Abernathy Aldous Barlow Beckwith Brandt Calloway Carrick Danvers Delacroix Ellery Fairbanks Farrow Galloway Hadley
    Hargreaves Hollis Jessop Kessler Kirkland Langley Lindqvist Maddox Merrick Novak Oakley Pemberton Prescott Quimby
    Radcliffe Redmond Sorensen Stanhope Thackeray Tolliver Underhill Vickers Wainwright Whitlock Winslow Yardley
"""
_TITLES = frozenset(
    "mr mrs ms dr sir lord lady professor prof president general colonel captain major admiral lieutenant bishop "
    "chemist physicist mathematician philosopher researcher scientist geologist inventor engineer architect "
    "composer painter writer author poet historian economist biologist astronomer guitarist drummer singer director "
    "coach".split()
)
_PARTS = """
    Ashford Brackley Carnforth Corwen Dunmore Elgin Farnham Halden Harwood Ilkley Keswick Larkhill Ludlow Marlow
    Norham Otterburn Pendle Radnor Selkirk Tamworth Tilbury Wexcombe Whitby Yeovil
"""
_BEHIND = frozenset(
    "River Street Road Avenue Square Bridge Park Garden Gardens Castle Palace Church Cathedral Abbey University "
    "College School Institute Museum Library Theatre Theater Hospital Stadium Arena Airport Station Island "
    "Islands Bay Mountain Mountains Valley Forest County District Province Harbor Harbour Canal Prize Award Medal "
    "Cup Trophy Act Agreement Party Club Company Corporation Foundation Society Center Centre Hall Tower House "
    "Carry Creek Falls".split()
)
_DIRECTIONS = frozenset("North South East West Northern Southern Eastern Western Central New".split())
_ORDER = re.compile(r"[IVX]+")  # of a king
_AHEAD = re.compile(
    r"(?:(?:Lake|Mount|Fort)|(?:University|Treaty|Battle|Edict|Bay|Gulf|Duke|Earl|Bishop|Siege|Peace) of) "
)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split("|")]


_CLASSES = (_MONTHS.split(), _DAYS.split(), _listed(_COUNTRIES), _listed(_STATES), _listed(_CITIES))
_GIVEN: Mapping[str, Sequence[str]] = {name: own.split() for own in (_WOMEN, _MEN) for name in own.split()}


def another(value: str, before: str, after: str, rng: random.Random) -> str | None:
    """Another value of the same kind for `value`, which stands between `before` and `after`; None where its kind is not
    known for sure, and where it is a part of a longer number or name."""
    if _NUMBER.fullmatch(value):
        return _number(value, before, after, rng)
    if value.lower() in _WORDS.split():
        new = rng.choice([word for word in _WORDS.split() if word != value.lower()])
        return new.capitalize() if value[0].isupper() else new
    if not _NAME.fullmatch(value) or value.isupper() or (_longer(before, after) and not _alone(value, before, after)):
        return None
    own = next((some for some in _CLASSES if value in some), None)
    return rng.choice([name for name in own if name != value]) if own else _named(value, before, rng)


def _number(value: str, before: str, after: str, rng: random.Random) -> str | None:
    if re.search(r"\d[-–—/:.]?$", before) or re.match(r"\w|[-–—/:]\d", after):  # '1641-1679', '11:40', '1,200th'
        return None
    if _YEAR.fullmatch(value):
        return str(min(int(value) + rng.choice([-1, 1]) * rng.randint(1, _AWAY), _NOW - (value == str(_NOW))))
    of_month = re.match(rf" (?:{_MONTHS.replace(' ', '|')})\b", after)
    if of_month or re.search(rf"\b(?:{_MONTHS.replace(' ', '|')}) $", before):
        return str(rng.choice([day for day in range(1, _LAST + 1) if str(day) != value]))
    while True:
        digits = iter(str(rng.randint(2 * (n == 0), 9)) for n in range(len(value)))  # '1' would ask for a singular
        new = "".join(next(digits) if c.isdigit() else c for c in value)
        if new != value:
            return new


def _named(value: str, before: str, rng: random.Random) -> str | None:
    """Another name for what says of itself what it names, and for a person."""
    words = value.split()
    if ahead := _AHEAD.match(value):
        return ahead.group() + rng.choice(_PARTS.split())
    if len(words) == 1:
        return rng.choice(_SURNAMES.split()) if _calls(_word_before(before)) else None
    if words[-1] in _BEHIND and words[0] not in _DIRECTIONS:
        return f"{rng.choice(_PARTS.split())} {words[-1]}"
    if words[0] in _GIVEN and len(words) < 4 and not any(_ORDER.fullmatch(w) or w[0].islower() for w in words):
        given = [name for name in _GIVEN[words[0]] if name != words[0]]
        return " ".join([*rng.sample(given, len(words) - 1), rng.choice(_SURNAMES.split())])
    return None


def _calls(word: str) -> bool:
    """True for what stands before a surname: 'Robert', 'Dr.', 'chemist'."""
    return word in _GIVEN or word.lower().rstrip(".") in _TITLES


def _alone(value: str, before: str, after: str) -> bool:
    """True for a surname that only has its given name or its title beside it."""
    return " " not in value and _calls(_word_before(before)) and not _longer("", after)


def _longer(before: str, after: str) -> bool:
    """True if a word with a capital stands right before or behind: the value is a part of its name, or lies in it."""
    last = _word_before(before)
    return bool(re.match(r"(?:['’]s)?,? ?[A-Z]|-\w", after)) or (last[:1].isupper() and last.lower() not in STOPWORDS)


def _word_before(before: str) -> str:
    """The word right before, '' if a mark stands between."""
    found = re.search(r"([^\W\d_][\w'’-]*\.?) $|(\w+-)$", before)
    return "" if found is None or (found[0].rstrip().endswith(".") and len(found[0]) > 6) else found[0].strip()
