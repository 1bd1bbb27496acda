"""What a state's plate can look like: ranks candidates, never overwrites what was seen.

Serial formats of standard passenger plates as the states' motor vehicle departments issue them
(L a letter, N a digit); older series still on the road included.
"""

import functools

US_FORMATS: dict[str, tuple[str, ...]] = {
    "us-al": ("NLLNNNN", "NNLLNNN", "NLNNNNN"),
    "us-ak": ("LLLNNN",),
    "us-az": ("LLLNNNN", "LLLNLNL"),
    "us-ar": ("NNNLLL", "LLLNNL"),
    "us-ca": ("NLLLNNN", "NNNLLLN"),
    "us-co": ("LLLNNN", "LLLLNN", "NNNLLL"),
    "us-ct": ("LLNNNNN", "NLLLLN", "NNNLLL", "LNNLLL"),
    "us-de": ("NNNNNN", "NNNNN"),
    "us-dc": ("LLNNNN",),
    "us-fl": ("LLLLNN", "LLLNNN", "LNNNLL", "NNLLLL"),
    "us-ga": ("LLLNNNN",),
    "us-hi": ("LLLNNN",),
    "us-id": ("LLNNNNN", "NLNNNNN", "NLLNNNN"),
    "us-il": ("LLNNNNN", "NNNNNNN", "LNNNNNN"),
    "us-in": ("NNNLLL", "NNNLL", "NNNL"),
    "us-ia": ("LLLNNN", "NNNLLL"),
    "us-ks": ("NNNLLL", "NNNNLLL"),
    "us-ky": ("LNLNNN", "NNNLLL", "LLLNNN"),
    "us-la": ("NNNLLL", "LLLNNN"),
    "us-me": ("NNNNLL", "NNNLLL"),
    "us-md": ("NLLNNNN", "NLLLNNN"),
    "us-ma": ("NLLLNN", "NLLNNN", "NNNLLN", "NNLLNN", "NNNNLL", "NNNLLL"),
    "us-mi": ("LLLNNNN", "LLLNNN", "NLLLNN"),
    "us-mn": ("LLLNNN", "NNNLLL"),
    "us-ms": ("LLLNNNN", "LLLNNN", "LLLNLLL"),
    "us-mo": ("LLNLNL", "LLNLNN"),
    "us-mt": ("NNNNNNL", "LLLNNN"),
    "us-ne": ("LLLNNN", "NLNNNN"),
    "us-nv": ("LLLNNN", "NNNLLL", "NNLNNN"),
    "us-nh": ("NNNNNNN", "NNNNNN", "NNNNNNL"),
    "us-nj": ("LNNLLL", "LLLNNL", "LLLNNN"),
    "us-nm": ("LLLNNN", "NNNLLL", "LLLLNN"),
    "us-ny": ("LLLNNNN", "LLLNNN"),
    "us-nc": ("LLLNNNN",),
    "us-nd": ("NNNLLL",),
    "us-oh": ("LLLNNNN",),
    "us-ok": ("LLLNNN", "NNNLLL"),
    "us-or": ("NNNLLL", "LLLNNN"),
    "us-pa": ("LLLNNNN",),
    "us-ri": ("NNNNNN", "LLNNN", "NLLNNN"),
    "us-sc": ("LLLNNN", "NNNNLL", "LLLNNNN"),
    "us-sd": ("NLLNNN", "NNLLNN", "NLNNNN"),
    "us-tn": ("LLLNNNN", "LNNNNL", "NNNLLLL", "LNNNNN"),
    "us-tx": ("LLLNNNN", "LLNLNNN"),
    "us-ut": ("LNNNLL", "NLNLL", "LNNNLN"),
    "us-vt": ("LLLNNN",),
    "us-va": ("LLLNNNN",),
    "us-wa": ("LLLNNNN", "NNNLLL"),
    "us-wv": ("NLLNNN", "LLNNNN"),
    "us-wi": ("LLLNNNN", "NNNLLL"),
    "us-wy": ("NNNNN", "NNNNNN", "NNNNNL"),
}


def shape(text: str) -> str:
    """Spell a text's format: L a letter, N a digit; what could not be read stays as it is."""
    return "".join("N" if c.isdigit() else "L" if c.isalpha() else c for c in text)


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(one for formats in US_FORMATS.values() for one in formats)


def is_known_format(text: str) -> bool:
    """Whether some state issues plates of this format."""
    return shape(text) in _known()
