"""Closed classes of English words that the judge compares by meaning, not by spelling.

Every table is keyed by the folded word (`rag.text.fold`: lower case, no accents, no apostrophes). Lists are short on
purpose: a word that is missing costs a little coverage, a word that is wrong lets a lie through.
"""

from __future__ import annotations

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL = {w: float(i) for i, w in enumerate(_UNITS.split())} | {w: 10.0 * i for i, w in enumerate(_TENS.split(), 2)}
MAGNITUDES = {
    "dozen": 12.0, "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
    "dozens": 12.0, "hundreds": 1e2, "thousands": 1e3, "millions": 1e6, "billions": 1e9, "trillions": 1e12,
    "k": 1e3, "bn": 1e9, "mn": 1e6, "mln": 1e6, "bln": 1e9, "tn": 1e12, "crore": 1e7, "lakh": 1e5,
}  # fmt: skip
ORDINALS = {
    w: float(i)
    for i, w in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
        "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split(), 1
    )
} | {"thirtieth": 30.0, "fortieth": 40.0, "fiftieth": 50.0, "hundredth": 100.0}  # fmt: skip
DECADES = {
    w: 20.0 + 10 * i
    for i, w in enumerate("twenties thirties forties fifties sixties seventies eighties nineties".split())
}


def _table(lines: str) -> dict[str, str]:
    """Each line a group: every word of it stands for the first."""
    return {word: line.split()[0] for line in lines.strip().splitlines() for word in line.split()}


CURRENCIES = _table("""
    usd $ us$ dollar dollars buck bucks
    eur € euro euros
    gbp £ sterling quid
    yen ¥ jpy
    inr ₹ rupee rupees
    yuan rmb cny renminbi
    cent cents ¢
""")
MEASURES = _table("""
    percent % percentage pct
    kilometre kilometres kilometer kilometers km
    metre metres meter meters
    centimetre centimetres centimeter centimeters cm
    millimetre millimetres millimeter millimeters mm
    mile miles mi
    foot feet ft
    inch inches
    yard yards
    hectare hectares ha
    acre acres
    kilogram kilograms kg kilo kilos
    gram grams
    milligram milligrams mg
    tonne tonnes
    ton tons
    pound pounds lb lbs
    ounce ounces oz
    litre litres liter liters
    gallon gallons
    second seconds sec secs
    minute minutes min mins
    hour hours hr hrs
    day days
    week weeks
    month months
    year years yr yrs
    decade decades
    century centuries
    mph
    knot knots
    celsius °c
    fahrenheit °f
    degree degrees °
    volt volts
    watt watts
    kilowatt kilowatts kw
    megawatt megawatts mw
    gigawatt gigawatts gw
    hertz hz
    megahertz mhz
    gigahertz ghz
    byte bytes
    kilobyte kilobytes kb
    megabyte megabytes mb
    gigabyte gigabytes gb
    terabyte terabytes tb
""")
MONTHS = _table("""
    january jan
    february feb
    march
    april apr
    may
    june
    july
    august aug
    september sep sept
    october oct
    november nov
    december dec
""")

# Bounds and approximations before a number; longer phrases first.
BOUNDS = (
    (("more", "than"), "min"), (("greater", "than"), "min"), (("at", "least"), "min"), (("no", "less", "than"), "min"),
    (("no", "fewer", "than"), "min"), (("less", "than"), "max"), (("fewer", "than"), "max"), (("at", "most"), "max"),
    (("no", "more", "than"), "max"), (("up", "to"), "max"), (("over",), "min"), (("above",), "min"),
    (("exceeding",), "min"), (("under",), "max"), (("below",), "max"), (("nearly",), "about"), (("almost",), "about"),
    (("about",), "about"), (("around",), "about"), (("approximately",), "about"), (("roughly",), "about"),
    (("circa",), "about"), (("some",), "about"), (("estimated",), "about"), (("approx",), "about"),
)  # fmt: skip

NEGATIONS = frozenset(
    "not never no nt cannot without neither nor none nobody nothing nowhere hardly barely scarcely rarely seldom "
    "dont doesnt didnt isnt arent wasnt werent wont cant couldnt shouldnt wouldnt hasnt havent hadnt aint mustnt "
    "neednt unable impossible false falsely untrue incorrect wrongly".split()
)
# Verbs that deny what they govern, by stem.
DENIALS = frozenset("fail refus deni lack prevent avoid reject declin prohibit forbid forbad forbidden ban".split())
# 'not only', 'no doubt', 'nothing but': a negation that denies nothing.
HARMLESS = frozenset(
    [("not", "only"), ("not", "just"), ("not", "merely"), ("not", "simply"), ("no", "doubt"), ("nothing", "but"),
     ("not", "least"), ("not", "to", "mention"), ("no", "less"), ("no", "fewer"), ("no", "more"), ("no", "matter")]
)  # fmt: skip

# How sure a statement is of what it governs: intended, possible, reported.
MODALS = _table("""
    will shall wont ll going
    may might maybe perhaps possibly could likely probably potentially possible
    would should if whether unless
    must
""")
# Verbs and adjectives by stem that leave it open whether what follows came about.
INTENTS = frozenset(
    "plan intend hope aim propos promis pledg threaten want expect consid seek attempt tri alleg rumor rumour claim "
    "suppos suggest believ commit offer vow project anticip schedul poised wish desir".split()
)

_OPPOSITES = """
    first last, largest smallest, largest least, biggest smallest, highest lowest, longest shortest, oldest newest,
    oldest youngest, most least, most fewest, more less, more fewer, before after, earlier later, north south,
    east west, northern southern, eastern western, increase decrease, increased decreased, increase reduce,
    increased reduced, increase decline, increased declined, grow shrink, grew shrank, rise fall, rose fell,
    raise lower, raised lowered, won lost, win lose, begin end, began ended, start stop, started stopped, start end,
    started ended, start finish, open close, opened closed, male female, men women, man woman, boy girl,
    father mother, son daughter, brother sister, king queen, prince princess, husband wife, uncle aunt, best worst,
    better worse, good bad, early late, high low, higher lower, large small, larger smaller, big small,
    bigger smaller, long short, longer shorter, old new, old young, older younger, older newer, hot cold, warm cold,
    maximum minimum, upper lower, inside outside, internal external, public private, rich poor, strong weak,
    stronger weaker, strongest weakest, major minor, fast slow, faster slower, positive negative, support oppose,
    supported opposed, accept reject, accepted rejected, agree disagree, legal illegal, allowed forbidden,
    allowed prohibited, allow prohibit, allow prevent, easy difficult, easy hard, common rare, ancient modern,
    birth death, born died, buy sell, bought sold, import export, imports exports, imported exported, enter leave,
    arrive leave, arrived left, above below, top bottom, front back, always never, all none, summer winter,
    spring autumn, day night, morning evening, create destroy, created destroyed, built demolished, success failure,
    attack defend, true false, with without, include exclude, included excluded, gain lose, gained lost, love hate,
    loved hated, teacher student, similar different, same different, many few, friend enemy, majority minority,
    domestic foreign, rural urban, simple complex, full empty, wide narrow, deep shallow, light dark, heavy light,
    dry wet, safe dangerous, praise criticise, praised criticised, praise criticize, praised criticized, alive dead,
    present absent, succeeded failed, succeed fail, strengthen weaken, strengthened weakened, expand reduce,
    expanded reduced, appointed dismissed, joined left, permanent temporary, former current, optimistic pessimistic,
    possible impossible, able unable, north west, north east, south west, south east, northern western,
    northern eastern, southern western, southern eastern
"""
OTHER: dict[str, frozenset[str]] = {}
for _line in _OPPOSITES.replace("\n", " ").split(","):
    for _one, _two in (_line.split(), _line.split()[::-1]):
        OTHER[_one] = OTHER.get(_one, frozenset()) | {_two}

# Words that mean the same often enough; each group is one key.
SYNONYMS = _table("""
    give donate gift grant present donates gives gave given donated gifts gifted donating giving
    begin start commence began begun started begins starts commenced beginning starting
    end finish conclude ended finished concluded ends
    big large huge great
    biggest largest greatest
    small little tiny
    city town
    movie film
    movies films
    buy purchase bought purchased
    car automobile vehicle cars automobiles vehicles
    child kid children kids
    build construct built constructed builds
    create make made created makes creates produce produced
    get receive obtain got received obtained
    show display showed displayed
    say state tell said stated told says states
    located situated found lies
    called named known titled dubbed
    approximately about around roughly nearly almost
    kill slay killed slew slain
    near close nearby
    help aid assist helped assisted aided
    start launch launched
    use utilize utilise used utilized utilised using
    leader head chief
    job occupation profession
    america american us usa states
    uk britain british
    country nation countries nations
    begin beginning
    live reside lived resided
    whole entire
    several many numerous
    company firm companies firms
    war conflict
    agreement deal
    meeting summit
    fight battle fought
    happen occur happened occurred took
    main primary principal chief
    type kind sort types kinds
    begin found founded established establish
    leave depart left departed
    end stop
    win victory won
    ask request asked requested
    require need required needed
    keep retain kept retained
    choose select chose chosen selected pick
    people persons person individuals
    write author wrote written authored
    speak talk spoke talked
    job work worked
    sakura cherry
    goal objective aim purpose goals objectives aims purposes
    doctor physician doctors physicians
    teach educate taught educated
    wear don wore
    attempt try attempted tried attempts
    famous renowned celebrated
    important significant
    rich wealthy
    quick fast rapid quickly rapidly
    purchase acquire acquired
    release publish released published issued
    area region areas regions
    amount quantity
    student pupil students pupils
    illness disease illnesses diseases
    road street
    home house
    rename renamed
    assist assistance support
    appear seem appeared
    change alter changed altered
    hit strike struck
    permit allow permitted allowed
    forbid prohibit ban forbade prohibited banned
    decide resolve decided resolved
    respond reply answer responded replied answered
    inhabitant resident inhabitants residents
    originate stem originated
    annual yearly
    after following
    various diverse varied
    wedding marriage
    scholar academic
    soldier soldiers troops
    pupil student
    dad father
    mom mum mother
    kids children
    sufficient enough
    primarily mainly mostly chiefly
    entirely completely wholly
    usually typically generally normally commonly
    currently presently now
    border frontier
    boss head
    cheap inexpensive
    costly expensive
    destroy demolish destroyed demolished
    discover discovered discovery
    employ hire employed hired
    ensure guarantee
    error mistake
    gather collect gathered collected
    join joined unite united
    lie located
    organization organisation body
    per every each
    rule govern ruled governed
    shut close closed
    story tale
    term word phrase
    weapon weapons arms
""")
# Forms of one verb that share no stem.
_IRREGULAR = """
    arise arose arisen, awake awoke, bear bore borne, beat beaten, become became, begin began begun, bend bent,
    bind bound, bite bit bitten, bleed bled, blow blew blown, break broke broken, breed bred, bring brought,
    build built, burn burnt, buy bought, catch caught, choose chose chosen, cling clung, come came, creep crept,
    deal dealt, dig dug, do did done, draw drew drawn, dream dreamt, drink drank drunk, drive drove driven,
    eat ate eaten, fall fell fallen, feed fed, feel felt, fight fought, find found, flee fled, fly flew flown,
    forbid forbade forbidden, forget forgot forgotten, forgive forgave forgiven, freeze froze frozen,
    get got gotten, give gave given, go went gone, grind ground, grow grew grown, hang hung, have had has,
    hear heard, hide hid hidden, hold held, keep kept, kneel knelt, know knew known, lay laid, lead led, leap leapt,
    learn learnt, leave left, lend lent, lie lain, light lit, lose lost, make made, mean meant, meet met,
    mistake mistook mistaken, overcome overcame, pay paid, prove proven, ride rode ridden, ring rang rung,
    rise rose risen, run ran, say said, see saw seen, seek sought, sell sold, send sent, sew sewn,
    shake shook shaken, shine shone, shoot shot, show shown, shrink shrank shrunk, sing sang sung, sink sank sunk,
    sit sat, sleep slept, slide slid, speak spoke spoken, speed sped, spend spent, spin spun, spring sprang sprung,
    stand stood, steal stole stolen, stick stuck, sting stung, strike struck, strive strove, swear swore sworn,
    sweep swept, swim swam swum, swing swung, take took taken, teach taught, tear tore torn, tell told,
    think thought, throw threw thrown, understand understood, undergo underwent undergone, wake woke woken,
    wear wore worn, weave wove woven, weep wept, win won, wind wound, withdraw withdrew withdrawn,
    write wrote written, man men, woman women, child children, foot feet, person people, tooth teeth, mouse mice,
    goose geese, die dead death, grow growth, choose choice, see sight, sell sale, speak speech, live life,
    lose loss, high height, long length, strong strength, wide width, deep depth, hot heat, true truth,
    poor poverty, own owner, buy buyer, use user, believe belief, prove proof, serve service, marry marriage,
    defend defence defense, rule ruler
"""
FORMS = {w: line.split()[0] for line in _IRREGULAR.replace("\n", " ").split(",") for w in line.split()}

# Names whose adjective shares too few letters with them, and names with more than one form.
ALIASES = _table("""
    usa us america american americans
    uk britain british
    france french
    spain spanish
    china chinese
    netherlands dutch holland
    greece greek greeks
    poland polish poles
    denmark danish danes
    switzerland swiss
    wales welsh
    scotland scottish scots
    ireland irish
    turkey turkish turks
    thailand thai
    philippines filipino philippine
    germany german germans
    portugal portuguese
    finland finnish
    sweden swedish
    norway norwegian
    england english
    japan japanese
    peru peruvian
    iraq iraqi
""")
TITLES = frozenset(
    "mr mrs ms miss dr sir lord lady king queen prince princess president vice prime minister chancellor secretary "
    "senator governor general colonel captain professor judge justice emperor pope bishop saint st chief director "
    "republic state states city university party church river mount lake county province department defence defense "
    "war foreign former".split()
)
LINKS = frozenset("of de von van der den la le du di da del dos bin ibn al and & the".split())

# Words that carry no checkable content: they are neither missed nor matched.
EMPTY = frozenset(
    "a an the this that these those there here it its itself he him his himself she her hers herself they them "
    "their theirs themselves we us our ours you your yours i me my mine is are was were be been being am has have "
    "had having do does did doing of as at by for with and or but so such than then also too very just s t re ve d "
    "m who whom whose which what when where why how in on to from into onto upon about would will shall can could "
    "may might must should if whether while because since until though although however not no nor never neither "
    "either both each any some other another own same only even still yet thus hence therefore more most much many "
    "one ones during through between among within across along against per via all under over up out off down away "
    "again once nt dont doesnt didnt isnt arent wasnt werent wont cant cannot couldnt shouldnt wouldnt hasnt havent "
    "hadnt ll him people thing things way well moreover furthermore additionally meanwhile indeed etc".split()
)
# Verbs so general that a paraphrase may bring or drop them.
LIGHT = frozenset(
    "make take get go come use call name know includ becom consist contain involv occur happen refer describ consid "
    "locat mean caus lead result provid form state say told tell base serv year time type kind part number amount "
    "sort place person thing someth accord various certain found".split()
)
AUXILIARIES = frozenset(
    "is are was were be been being am has have had do does did will would shall should can could may might must "
    "isnt arent wasnt werent wont cant cannot couldnt didnt doesnt dont".split()
)
VERBS = frozenset(FORMS) | frozenset(
    "agree announce include contain live remain use want need help follow work play form occur cause produce require "
    "provide allow represent cut put set let cost read hit".split()
)
