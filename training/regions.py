"""Where a plate was issued: the codes that the reader tells, and what a label says of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STATES = {
    "us-al": "ALABAMA", "us-ak": "ALASKA", "us-az": "ARIZONA", "us-ar": "ARKANSAS", "us-ca": "CALIFORNIA",
    "us-co": "COLORADO", "us-ct": "CONNECTICUT", "us-dc": "WASHINGTON DC", "us-de": "DELAWARE",
    "us-fl": "FLORIDA", "us-ga": "GEORGIA", "us-hi": "HAWAII", "us-ia": "IOWA", "us-id": "IDAHO",
    "us-il": "ILLINOIS", "us-in": "INDIANA", "us-ks": "KANSAS", "us-ky": "KENTUCKY", "us-la": "LOUISIANA",
    "us-ma": "MASSACHUSETTS", "us-md": "MARYLAND", "us-me": "MAINE", "us-mi": "MICHIGAN",
    "us-mn": "MINNESOTA", "us-mo": "MISSOURI", "us-ms": "MISSISSIPPI", "us-mt": "MONTANA",
    "us-nc": "NORTH CAROLINA", "us-nd": "NORTH DAKOTA", "us-ne": "NEBRASKA", "us-nh": "NEW HAMPSHIRE",
    "us-nj": "NEW JERSEY", "us-nm": "NEW MEXICO", "us-nv": "NEVADA", "us-ny": "NEW YORK", "us-oh": "OHIO",
    "us-ok": "OKLAHOMA", "us-or": "OREGON", "us-pa": "PENNSYLVANIA", "us-ri": "RHODE ISLAND",
    "us-sc": "SOUTH CAROLINA", "us-sd": "SOUTH DAKOTA", "us-tn": "TENNESSEE", "us-tx": "TEXAS",
    "us-ut": "UTAH", "us-va": "VIRGINIA", "us-vt": "VERMONT", "us-wa": "WASHINGTON", "us-wi": "WISCONSIN",
    "us-wv": "WEST VIRGINIA", "us-wy": "WYOMING",
}  # fmt: skip
SLOGANS = {
    "us-ak": "The Last Frontier", "us-al": "Heart of Dixie", "us-ar": "The Natural State",
    "us-az": "Grand Canyon State", "us-ca": "dmv.ca.gov", "us-co": "COLORFUL", "us-ct": "Constitution State",
    "us-dc": "Taxation Without Representation", "us-de": "The First State", "us-fl": "Sunshine State",
    "us-ga": "Peach State", "us-hi": "Aloha State", "us-ia": "The Hawkeye State", "us-id": "Famous Potatoes",
    "us-il": "Land of Lincoln", "us-in": "Crossroads of America", "us-ks": "Wheat State",
    "us-ky": "Bluegrass State", "us-la": "Sportsman's Paradise", "us-ma": "The Spirit of America",
    "us-md": "www.maryland.gov", "us-me": "Vacationland", "us-mi": "Great Lakes", "us-mn": "10,000 lakes",
    "us-mo": "Show-Me State", "us-ms": "Birthplace of America's Music", "us-mt": "Treasure State",
    "us-nc": "First in Flight", "us-nd": "Peace Garden State", "us-ne": "Cornhusker State",
    "us-nh": "Live Free or Die", "us-nj": "Garden State", "us-nm": "Land of Enchantment",
    "us-nv": "The Silver State", "us-ny": "Empire State", "us-oh": "Birthplace of Aviation",
    "us-ok": "Native America", "us-or": "Pacific Wonderland", "us-pa": "visitPA.com", "us-ri": "Ocean State",
    "us-sc": "Smiling Faces. Beautiful Places.", "us-sd": "Great Faces. Great Places.",
    "us-tn": "The Volunteer State", "us-tx": "The Lone Star State", "us-ut": "Life Elevated",
    "us-va": "Virginia is for Lovers", "us-vt": "Green Mountain State", "us-wa": "Evergreen State",
    "us-wi": "America's Dairyland", "us-wv": "Wild, Wonderful", "us-wy": "Equality State",
}  # fmt: skip
COUNTRIES = ("au", "br", "ca", "de", "gb", "in", "pk", "ro")
"""Those of which a hundred plates or more can be had, and Canada."""

OTHER = "other"
NO_PLATE = "none"
"""What is no plate at all: a sign, lettering on a lorry, a grille."""

REGION_FROM = 0.8  # chosen by `evaluate validation-regions`: a wrong state misleads more than none
NOWHERE = (OTHER, NO_PLATE)
CODES = (*STATES, *COUNTRIES, OTHER, NO_PLATE)


def label(region: str, state: str) -> str:
    """The code of a country and a state as tables write them; `us` where the state is not known, else empty."""
    if region == "us":
        code = f"us-{state}"
        return code if code in STATES else "us"
    if region in ("", "unknown"):
        return ""
    return region if region in COUNTRIES else OTHER


def possible(known: str) -> NDArray[np.bool_]:
    """Which codes [61] a label leaves open: one, all states for `us`, all of plates for an empty one."""
    if known == "us":
        return np.array([code in STATES for code in CODES])
    return np.array([code == known or (not known and code != NO_PLATE) for code in CODES])
