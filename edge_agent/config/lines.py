"""Tells on which line of a TOML text each key stands, which the standard library's parser does not."""

import re
import tomllib
from bisect import bisect_left

KeyPath = tuple[str | int, ...]
"""The keys from the outermost table inwards; a number is a place in an array."""

_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_HEADER_END = re.compile(r"\]{1,2}")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")
_STRINGS = (
    ('"""', re.compile(r'"""(?:\\.|[^\\])*?""""{0,2}', re.DOTALL)),
    ("'''", re.compile(r"'''.*?''''{0,2}", re.DOTALL)),
    ('"', re.compile(r'"(?:\\.|[^"\\])*"')),
    ("'", re.compile(r"'[^']*'")),
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Give the line, from 1, where each key, table and array element first stands; the text must be valid TOML."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    """Walks a text that the parser has accepted, so nothing is checked twice."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_ends = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[KeyPath, int] = {}
        self._tables_in: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._takes("[["):
                table = self._header(in_array=True)
            elif self._takes("["):
                table = self._header(in_array=False)
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self, *, in_array: bool) -> KeyPath:
        path: KeyPath = ()
        keys = self._keys()
        self._skip(_HEADER_END)
        for key in keys[:-1]:
            path = self._note((*path, key))
            if path in self._tables_in:
                path = (*path, self._tables_in[path] - 1)
        path = self._note((*path, keys[-1]))
        if not in_array:
            return path
        count = self._tables_in[path] = self._tables_in.get(path, 0) + 1
        return self._note((*path, count - 1))

    def _pair(self, table: KeyPath) -> None:
        path = table
        for key in self._keys():
            path = self._note((*path, key))
        self._takes("=")
        self._value(path)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._takes("."):
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip(_SPACE)
        start = self._at
        if self._text[start] in "\"'":
            self._string()
            key = next(iter(tomllib.loads(f"{self._text[start : self._at]} = 0")))
        else:
            self._skip(_BARE_KEY)
            key = self._text[start : self._at]
        self._skip(_SPACE)
        return key

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._takes("["):
            self._elements(path)
        elif self._takes("{"):
            self._inline_table(path)
        elif self._text[self._at] in "\"'":
            self._string()
        else:
            self._skip(_BARE_VALUE)

    def _elements(self, path: KeyPath) -> None:
        index = 0
        self._skip(_BLANK)
        while not self._takes("]"):
            self._value(self._note((*path, index)))
            index += 1
            self._next_member()

    def _inline_table(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        while not self._takes("}"):
            self._pair(path)
            self._next_member()

    def _next_member(self) -> None:
        self._skip(_BLANK)
        self._takes(",")
        self._skip(_BLANK)

    def _string(self) -> None:
        for quote, pattern in _STRINGS:
            if self._text.startswith(quote, self._at):
                self._skip(pattern)
                return

    def _note(self, path: KeyPath) -> KeyPath:
        """Remember the line of a path seen for the first time; gives the path back."""
        self._lines.setdefault(path, bisect_left(self._line_ends, self._at) + 1)
        return path

    def _takes(self, token: str) -> bool:
        if not self._text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"no TOML that the parser would accept, at character {self._at}")
        self._at = match.end()
