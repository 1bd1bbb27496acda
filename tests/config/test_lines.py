import tomllib
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.lines import KeyPath, key_lines

TEXT = '''# a comment with [brackets] and = signs
agency = "x # no comment"

[mqtt]
host = 'h'
"quoted key".deeper = 1
tls.ca_file = "a"
tls.key = "b"
text = """
[no.table]
key = "no key" \\"""
"""" # three quotes and one more
raw = \'\'\'
also = no key\'\'\'

[a.b]
list = [
  1, # one
  { x = 1, y = [2,
      3] },
]
day = 1979-05-27 07:32:00
[[cameras]]
name = "one"
[cameras.box]
x = 1
[[cameras]]
name = "two"
'''


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Walk a parsed document and give the path of every table, key and array element."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*path, index))


def test_every_kind_of_key_is_found_on_its_line() -> None:
    assert key_lines(TEXT) == {
        ("agency",): 2,
        ("mqtt",): 4,
        ("mqtt", "host"): 5,
        ("mqtt", "quoted key"): 6,
        ("mqtt", "quoted key", "deeper"): 6,
        ("mqtt", "tls"): 7,
        ("mqtt", "tls", "ca_file"): 7,
        ("mqtt", "tls", "key"): 8,
        ("mqtt", "text"): 9,
        ("mqtt", "raw"): 13,
        ("a",): 16,
        ("a", "b"): 16,
        ("a", "b", "list"): 17,
        ("a", "b", "list", 0): 18,
        ("a", "b", "list", 1): 19,
        ("a", "b", "list", 1, "x"): 19,
        ("a", "b", "list", 1, "y"): 19,
        ("a", "b", "list", 1, "y", 0): 19,
        ("a", "b", "list", 1, "y", 1): 20,
        ("a", "b", "day"): 22,
        ("cameras",): 23,
        ("cameras", 0): 23,
        ("cameras", 0, "name"): 24,
        ("cameras", 0, "box"): 25,
        ("cameras", 0, "box", "x"): 26,
        ("cameras", 1): 27,
        ("cameras", 1, "name"): 28,
    }
    assert set(key_lines(TEXT)) == set(paths(tomllib.loads(TEXT)))


def test_lines_are_the_same_with_the_line_ends_of_another_system() -> None:
    assert key_lines(TEXT.replace("\n", "\r\n")) == key_lines(TEXT)


def test_an_empty_text_has_no_keys() -> None:
    assert key_lines("") == {}
    assert key_lines("# nothing") == {}


def quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(character):08X}" for character in text) + '"'


def written(value: object) -> str:
    """Write a value as TOML in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(written(inner) for inner in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)} = {written(inner)}" for key, inner in value.items()) + "}"
    return repr(value)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(words, st.dictionaries(words, values, max_size=3), max_size=4))
def test_every_key_the_parser_finds_has_its_line(document: dict[str, dict[str, object]]) -> None:
    lines: list[str] = []
    expected: dict[KeyPath, int] = {}
    for table, pairs in document.items():
        lines.append(f"[{quoted(table)}] # [other]")
        expected[(table,)] = len(lines)
        for key, value in pairs.items():
            lines += [f"{quoted(key)} = {written(value)}", ""]
            expected |= dict.fromkeys(paths(value, (table, key)), len(lines) - 1)
    text = "\n".join(lines)
    assert tomllib.loads(text) == document
    assert key_lines(text) == expected


@given(st.lists(st.sampled_from([*"[]{}=.,\"'#\n a1-", '"""', "'''", "\\", "\r\n", "true", "[[a]]\n", "b = "])))
def test_whatever_the_parser_accepts_is_located_completely(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(key_lines(text)) == set(paths(document))
