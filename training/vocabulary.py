"""What plates say: serial patterns (L letter, N digit), states, slogans, countries, and texts drawn from them."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from edge_agent.reading.formats import US_FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


US_PATTERNS = _words(
    "LLLNNNN LLLNNN NNNLLL LLNNNNN NLLLNNN NNNNLL LNNNNN NNLLNN LLNLNL LLNNLL NLLNN LLLLLL LLLLL "
    "LLLLLLL NNNNNN NNNNN LNNLLL LLNLLNN NLNNNNN LLLNLNN NNLNNN LLNNNN NNNNNLL LNNNNNN NNNNNNN "
    "LNLNLN NLNLLL NNLLL LLLNN NNNLLN NNNNNL LNNLNN NLLLNN LLLNNL"
)
EU_PATTERNS = _words(
    "LLNNLLL LLNNLLL LNNNLLL LLNNNLL LLNNNN LLLNNNN LLLLNNN LLNNNNN LNNLLL LLNNLLL NNNNLLL NNLLNN "
    "NLLLNN NNLLLN LLLNNN NLNNNNN LLNNNLL LLLLNN LLNNNNL LNNNNLL LLNNNNLL NNNLLL"
)
# Districts that stand before a serial, and what follows them: Romania, its capital, Slovakia, Germany, Poland.
DISTRICTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        _words(
            "AB AG AR BC BH BN BR BT BV BZ CJ CL CS CT CV DB DJ GJ GL GR HD HR IF IL IS MH MM MS NT OT PH SB SJ "
            "SM SV TL TM TR VL VN VS"
        ),
        ("NNLLL",),
    ),
    (("B",), ("NNLLL", "NNNLLL")),
    (
        _words(
            "BA BB BJ BL BN BR BS BT BY CA DK DS DT GA GL HC HE IL KA KE KK KM KN KS LC LE LM LV MA MI ML MT MY NI "
            "NM NO NR NZ PB PD PE PK PN PO PP PT PU PV RA RK RS RV SA SB SC SE SI SK SL SN SO SP SV TN TO TR TS TT "
            "TV VK VT ZA ZC ZH ZM ZV"
        ),
        ("NNNLL",),
    ),
    (
        _words("B M K HH F S DO E HB L DD N DU BO W BI BN MS KA MA A WI GE"),
        ("LLNNN", "LLNNNN", "LNNN", "LNNNN"),
    ),
    (_words("WA WB WE WI WX KR PO GD LU SC DW EL ZS BI TK RZ OP"), ("NNNNN", "NNNNL", "NNNLL")),
)
BR_PATTERNS = ("LLLNNNN", "LLLNLNN")
PROVINCES = _words("ONTARIO QUEBEC ALBERTA MANITOBA BRITISH_COLUMBIA SASKATCHEWAN NOVA_SCOTIA NEW_BRUNSWICK")
MEXICAN_STATES = _words(
    "JALISCO SONORA SINALOA CHIHUAHUA NUEVO_LEON TAMAULIPAS COAHUILA BAJA_CALIFORNIA CDMX ESTADO_DE_MEXICO PUEBLA "
    "VERACRUZ GUANAJUATO MICHOACAN DURANGO QUERETARO"
)
MX_PATTERNS = _words("LLLNNNL LLLNNNN NNNLLL LLLNNLL LLNNNNL LLNNNNN")
DEALERS = _words(
    "Dealer_Auto_Sales TOYOTA HONDA_of_Town VETERAN www.motors.com FORD_LINCOLN COUNTY CHEVROLET SUBARU "
    "In_God_We_Trust MOTORS PROUD_PARENT ALUMNI UNIVERSITY CITY_NISSAN AUTO_GROUP"
)
CITIES = _words("SP-SAO_PAULO RJ-RIO_DE_JANEIRO PR-CURITIBA MG-BELO_HORIZONTE SC-JOINVILLE BRASIL")
PLACES = _words("PUNJAB SINDH LAHORE KARACHI 07 12 16 19 SP BRASIL ISLAMABAD KPK GOVT")
COUNTRIES = _words("D GB F I E NL PL RO B CZ A P H S DK SK LT HR")
SIGNS = _words(
    "STOP EXIT YIELD ONE_WAY NO_PARKING SPEED_LIMIT ROAD_CLOSED DETOUR BUS TAXI POLICE SHERIFF FIRE AMBULANCE "
    "EXPRESS PIZZA HOTEL BANK MARKET PHARMACY CAFE SALE OPEN RENT PARKING ENTRANCE WELCOME MILES NORTH SOUTH EAST "
    "WEST BRIDGE AIRPORT DOWNTOWN MAIN_ST BROADWAY AVENUE STREET TRANSPORT LOGISTICS FREIGHT MOVERS PLUMBING "
    "DIESEL TURBO SPORT LIMITED CAUTION WIDE_LOAD LONG_VEHICLE HOW'S_MY_DRIVING? SCHOOL_BUS HIGHWAY RAMP CENTER"
)
# What is easily taken for something else is drawn more often than it is issued.
LETTERS = string.ascii_uppercase * 2 + "IIIIOOOQQDDDBSZGGVUWMN"
DIGITS = string.digits * 2 + "11008852"
VANITY = string.ascii_uppercase * 2 + string.digits


def state_serial(state: str, rng: np.random.Generator) -> str:
    """A serial as a state of the US issues them."""
    return serial(US_FORMATS[state], rng)


def scrambled(rng: np.random.Generator) -> str:
    """Letters and digits in any order: what stands beside a character must not decide between B and 8."""
    return "".join(one(LETTERS if rng.random() < 0.5 else DIGITS, rng) for _ in range(int(rng.integers(5, 8))))


def vanity(rng: np.random.Generator) -> str:
    """What an owner chose: any characters."""
    return "".join(one(VANITY, rng) for _ in range(int(rng.integers(2, 9))))


def lettering(rng: np.random.Generator) -> str:
    """What signs, shops and lorries say: words, telephones; a number alone may be a plate's."""
    if rng.random() < 0.08:
        return f"{rng.integers(200, 999)}-{rng.integers(100, 999)}-{rng.integers(1000, 9999)}"
    words = one((*SIGNS, *SIGNS, *CITIES, *DEALERS, *PROVINCES), rng)
    if rng.random() < 0.25:
        words += f" {rng.integers(1, 200)}"
    return words if rng.random() < 0.7 else words.title()


def serial(patterns: Sequence[str], rng: np.random.Generator) -> str:
    """A serial of one of the patterns."""
    return "".join(one(LETTERS if p == "L" else DIGITS, rng) for p in one(patterns, rng))


def district_serial(rng: np.random.Generator) -> str:
    """A serial as a country's districts issue them."""
    districts, patterns = DISTRICTS[int(rng.integers(len(DISTRICTS)))]
    return one(districts, rng) + serial(patterns, rng)


def one(values: Sequence[str], rng: np.random.Generator) -> str:
    """One of them, each as likely."""
    return values[int(rng.integers(len(values)))]
