"""A model's tokenizer: text to ids and back, from a tokenizer.json and the files that lie beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..activity import doing
from ..errors import UsageError, UserError, first_line
from ..extras import need
from .json_files import read_settings, read_text

FILE = "tokenizer.json"
MOST = 256 << 20
"""Bytes of a tokenizer's file."""
SAVED_AS = f"give the {FILE} of the model, which transformers writes with `save_pretrained`"
UNKNOWN = "�"
LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8, and so tokens that one may be made of."""


class Tokenizer:
    """A tokenizer, and what its model's files say about where a text ends."""

    def __init__(self, path: Path) -> None:
        """path: a tokenizer.json, or the folder that has one. Raises UserError for a file that is no tokenizer, MissingExtra without the
        library."""
        library = need("tokenizers", "--tokenizer")
        self.file = path / FILE if path.is_dir() else path
        text = read_text(self.file, MOST)
        if text is None:
            raise UsageError(f"there is no file {self.file}", help=SAVED_AS)
        with doing(f"reading {self.file.name}", size=len(text)):
            self._own = _parsed(library, text, self.file)
        self._own.no_truncation()
        self._own.no_padding()
        self.settings = read_settings(self.file.with_name("tokenizer_config.json"))
        self.largest = max(self._own.get_vocab(with_added_tokens=True).values(), default=-1)
        """The largest id."""

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """special: with the tokens that the tokenizer puts around a text. Raises UserError where it cannot."""
        try:
            return list(self._own.encode(text, add_special_tokens=special).ids)
        except Exception as problem:  # the library's share no base class
            raise UserError(f"the tokenizer cannot read the prompt: {first_line(problem)}", where=str(self.file)) from None

    def decode(self, ids: Sequence[int]) -> str:
        """Without special tokens; ids that it does not know are no text."""
        return str(self._own.decode([token for token in ids if token <= self.largest], skip_special_tokens=True))

    def id_of(self, word: str) -> int:
        """Of a token, or a number as it is. Raises UsageError for one that the tokenizer does not have."""
        found = self._own.token_to_id(word)
        if found is None and not word.isdecimal():
            help = "name a token as the tokenizer spells it, or its id"
            raise UsageError(f"the tokenizer has no token {word!r}", where=str(self.file), help=help)
        return int(word) if found is None else int(found)

    def ends(self) -> tuple[int, ...]:
        """Ids that end a text, as the files beside it say: generation_config.json, else config.json; and the tokenizer's own. Raises
        UserError for files that cannot be read."""
        found: list[int] = []
        for name in ("generation_config.json", "config.json"):
            given = read_settings(self.file.with_name(name)).get("eos_token_id")
            ids = given if isinstance(given, list) else [given]
            found = [token for token in ids if isinstance(token, int) and not isinstance(token, bool)]
            if found:
                break
        own = self._own.token_to_id(word) if (word := self.special("eos_token")) else None
        return tuple(dict.fromkeys((*found, *(() if own is None else (int(own),)))))

    def image_token(self) -> int:
        """The id in whose place an image goes: what tokenizer_config.json or config.json call the image token, else the one special token
        that has "image" in its name. Raises UsageError where there is none, or several."""
        word, config = self.special("image_token"), read_settings(self.file.with_name("config.json"))
        for given in (self._own.token_to_id(word) if word else None, config.get("image_token_id"), config.get("image_token_index")):
            if isinstance(given, int) and not isinstance(given, bool):
                return given
        special = {token.content: int(id) for id, token in self._own.get_added_tokens_decoder().items() if token.special}
        found = {name: id for name, id in special.items() if "image" in name.lower()}
        if len(found) != 1:
            what = f"the special tokens {', '.join(found)} may be it" if found else 'no special token has "image" in its name'
            raise UsageError(
                f"which token stands for an image is not known: {what}", where=str(self.file), help="name it: --image-token TOKEN"
            )
        return next(iter(found.values()))

    def special(self, name: str) -> str:
        """A special token as tokenizer_config.json has it, "eos_token"; "" where it has none."""
        given = self.settings.get(name)
        word = given.get("content") if isinstance(given, dict) else given
        return word if isinstance(word, str) else ""

    def twice_begun(self, ids: Sequence[int]) -> str:
        """What is to be said of a prompt that has the token that begins a text, and got it from the tokenizer once more; "" else."""
        word = self.special("bos_token")
        begin = self._own.token_to_id(word) if word else None
        return f"the prompt begins with {word} twice: the tokenizer adds one" if begin is not None and list(ids[:2]) == [begin] * 2 else ""

    def check_fits(self, vocabulary: int, ends: Sequence[str] = ()) -> str:
        """What is to be said of a tokenizer that knows far fewer tokens than the model, "" else. Raises UserError for one that has more;
        UsageError for a token of `ends` that the model does not have."""
        if self.largest >= vocabulary:
            what = f"the tokenizer does not fit the model: it has ids up to {self.largest}, the model knows 0 to {vocabulary - 1}"
            raise UserError(what, where=str(self.file), help=SAVED_AS)
        wrong = next((word for word in ends if self.id_of(word) >= vocabulary), None)
        if wrong is not None:
            raise UsageError(f"--end {wrong}: the model knows the tokens 0 to {vocabulary - 1}", where=str(self.file))
        known = self.largest + 1
        return "" if 2 * known > vocabulary else f"the tokenizer knows {known} of the model's {vocabulary} tokens: the others print nothing"


def _parsed(library: Any, text: str, file: Path) -> Any:
    try:
        return library.Tokenizer.from_str(text)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as problem:  # a panic of the library is no Exception
        told = first_line(problem) if isinstance(problem, Exception) else "it makes the library fail"
        what = f"{file.name} is not a tokenizer that the library tokenizers can read: {told}"
        raise UserError(what, where=str(file), help=SAVED_AS) from None


class Pieces:
    """The text of tokens that come one by one: a character that several tokens make is shown when it is whole.

    The library's DecodeStream keeps what may become a character for as long as it may; here that ends with the bytes of one, so that a
    model that writes none does not stop the text."""

    def __init__(self, tokenizer: Tokenizer, before: Iterable[int]) -> None:
        """before: tokens in front, on whose last one the text may depend (a space)."""
        self._tokenizer, self._ids = tokenizer, self._context(tokenizer, list(before))
        self._begin, self._shown, self._waiting = 0, len(self._ids), 0

    @staticmethod
    def _context(tokenizer: Tokenizer, before: list[int]) -> list[int]:
        """The last tokens, from the begin of a character on: bytes from the middle of one are none, and make those behind them none."""
        windows = [before[-length:] for length in range(LONGEST_CHARACTER, 2 * LONGEST_CHARACTER)]
        return next((window for window in windows if not tokenizer.decode(window).startswith(UNKNOWN)), windows[0])

    def add(self, token: int) -> str:
        """The text that is whole with this token."""
        if token > self._tokenizer.largest:
            return ""
        self._ids.append(token)
        return self._text(False)

    def rest(self) -> str:
        """What is left, where no more comes."""
        return self._text(True)

    def _text(self, whole: bool) -> str:
        before = self._tokenizer.decode(self._ids[self._begin : self._shown])
        text = self._tokenizer.decode(self._ids[self._begin :])
        if len(text) <= len(before):
            return ""
        self._waiting += text.endswith(UNKNOWN)  # tokens that are no text, such as special ones, are none of a character's
        if text.endswith(UNKNOWN) and not whole and self._waiting < LONGEST_CHARACTER:
            return ""
        self._ids = self._ids[self._shown :]
        self._begin, self._shown, self._waiting = 0, len(self._ids), 0
        return text[len(before) :]
