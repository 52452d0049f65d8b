"""Chinese text for search: normalise, segment, pinyin, and what to look up for a query.

Pure apart from the shipped word lists. Every engine indexes the tokens made here and translates the QueryPlan made
here, so that they agree on what a query means; how they store and match tokens is theirs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

import rjieba
from pypinyin import Style, lazy_pinyin
from pypinyin.constants import PINYIN_DICT

from marketplace.catalog.content.read import synonyms, user_dictionary

QUERY_CHARACTERS = 200
QUERY_CONCEPTS = 12
TEXT_CHARACTERS = 8_000
TOKEN_CHARACTERS = 40
PINYIN_SYLLABLES = 12
DICTIONARY_FREQUENCY = 20_000
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々〇"
_GRAMS_OF = {"g": 1, "克": 1, "两": 50, "斤": 500, "kg": 1000, "公斤": 1000, "千克": 1000}
_ML_OF = {"ml": 1, "毫升": 1, "l": 1000, "升": 1000}
_UNITS = "公斤|千克|毫升|kg|ml|斤|克|两|升|g|l"
_PIECE = re.compile(
    rf"(?P<amount>\d{{1,6}}(?:\.\d{{1,3}})?)(?P<unit>{_UNITS})(?![a-z])|(?P<han>[{_HAN}]+)"
    rf"|(?P<number>\d+(?:\.\d+)?)|(?P<latin>[a-z]+)|(?P<other>[^\s\d.a-z{_HAN}]+)"
)
_STOP_WORDS = frozenset([*"的了和与及或在是有请我要买想个款吗呢", "我要", "想买", "我想", "要买"]) | {
    "the",
    "a",
    "an",
    "and",
    "or",
    "of",
    "for",
    "with",
    "to",
}


class Kind(StrEnum):
    """Which tokens a term looks among: words, pairs of neighbouring characters, or beginnings of pinyin."""

    WORD = "word"
    PAIR = "pair"
    PINYIN = "pinyin"


@dataclass(frozen=True)
class Term:
    """One token to find; for PINYIN, the beginning of one."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Concept:
    """One thing the query asks for: any of the alternatives, each a set of terms that must all be there."""

    text: str
    alternatives: tuple[tuple[Term, ...], ...]


@dataclass(frozen=True)
class Tokens:
    """What is indexed of one text."""

    words: tuple[str, ...]
    pairs: tuple[str, ...]
    pinyin: tuple[str, ...]


def normalise(text: str) -> str:
    """`text` in lower case and half width, with everything but letters and digits (and decimal points) as spaces."""
    folded = unicodedata.normalize("NFKC", text[:TEXT_CHARACTERS]).lower()
    kept = "".join(c if unicodedata.category(c)[0] in "LN" or c in ".々〇" else " " for c in folded)
    return re.sub(r"(?<!\d)\.|\.(?!\d)", " ", kept)


@lru_cache(maxsize=1)
def _segmenter() -> rjieba.Jieba:
    jieba = rjieba.Jieba()
    equal_words = (word for word in synonyms().expansions if re.fullmatch(f"[{_HAN}]{{2,}}", word))
    for word in (*user_dictionary(), *equal_words):
        jieba.add_word(word, DICTIONARY_FREQUENCY, "nz")
    return jieba


@lru_cache(maxsize=1)
def _syllables() -> frozenset[str]:
    """Every syllable of Mandarin without tone, such as "gan" and "lv"."""
    bare = unicodedata.normalize(
        "NFD", " ".join(set(" ".join(PINYIN_DICT.values()).replace(",", " ").split()))
    )
    plain = "".join(c for c in bare.replace("u\u0308", "v") if not unicodedata.combining(c))
    return frozenset(syllable for syllable in plain.split() if syllable.isascii() and len(syllable) > 1)


def _measure(amount: str, unit: str) -> str:
    """The same token for the same amount: 5斤, 2.5kg and 2500克 are `2500g`."""
    number = Fraction(amount)
    if unit in _GRAMS_OF:
        return f"{round(number * _GRAMS_OF[unit])}g"
    return f"{round(number * _ML_OF[unit])}ml"


@lru_cache(maxsize=4_096)
def tokens_of(*texts: str) -> Tokens:
    """The tokens to index for short `texts` read one after another: names of goods, kinds and places."""
    words: list[str] = []
    pairs: list[str] = []
    pinyin: list[str] = []
    for text in texts:
        for piece in _PIECE.finditer(normalise(text)):
            words += _words_of(piece)
            if run := piece["han"]:
                words += run if len(run) > 1 else ()
                pairs += [run[i : i + 2] for i in range(len(run) - 1)]
                pinyin += _pinyin_of(run)
    return Tokens(tuple(words), tuple(dict.fromkeys(pairs)), tuple(dict.fromkeys(pinyin)))


@lru_cache(maxsize=4_096)
def heads_of(product_name: str) -> Tokens:
    """The words with which a product's name ends before any size or grade: what the thing is.

    A Chinese name says its kind last: 冷榨山茶油 is an oil, 山茶油手工皂 a soap.
    """
    run = next((piece["han"] for piece in _PIECE.finditer(normalise(product_name)) if piece["han"]), "")
    ends = [word for word, _, end in _segmenter().tokenize(run, "search") if end == len(run)]
    pinyin = [spelling for word in ends for spelling in _spellings(_syllables_of(word))]
    return Tokens(tuple(dict.fromkeys([*ends, run[-1:]] if run else [])), (), tuple(dict.fromkeys(pinyin)))


def words_of(text: str) -> list[str]:
    """The words of a long text, such as a description, in its order."""
    return [word for piece in _PIECE.finditer(normalise(text)) for word in _words_of(piece)]


def _words_of(piece: re.Match[str]) -> list[str]:
    if piece["han"]:
        return list(_segmenter().cut_for_search(piece["han"]))
    if piece["unit"]:
        return [_measure(piece["amount"], piece["unit"]), piece["amount"]]
    return [piece[0][:TOKEN_CHARACTERS]]


def _pinyin_of(run: str) -> Iterator[str]:
    """From each beginning of a word in `run`: the pinyin of what follows, and its initials."""
    syllables = [syllable for word in _segmenter().cut(run) for syllable in _syllables_of(word)]
    if len(syllables) != len(run):
        return
    for start in sorted({start for _, start, _ in _segmenter().tokenize(run, "search")}):
        yield from _spellings(syllables[start : start + PINYIN_SYLLABLES])


def _spellings(syllables: Sequence[str]) -> tuple[str, str]:
    """In full, and by initials."""
    return "".join(syllables), "".join(syllable[0] for syllable in syllables)


@lru_cache(maxsize=50_000)
def _syllables_of(word: str) -> tuple[str, ...]:
    return tuple(lazy_pinyin(word))


def concepts_of(query: str) -> tuple[Concept, ...]:
    """What `query` asks for, at most QUERY_CONCEPTS things. Empty when it holds nothing but signs."""
    pieces = list(_PIECE.finditer(normalise(query.strip()[:QUERY_CHARACTERS])))
    concepts: dict[Concept, None] = {}
    place = 0
    while place < len(pieces) and len(concepts) < QUERY_CONCEPTS:
        piece = pieces[place]
        taken = 1
        if piece["han"]:
            concepts.update(dict.fromkeys(_han_concepts(piece["han"])))
        elif piece["latin"]:
            taken, concept = _latin_concept([p["latin"] for p in _latin_run(pieces, place)])
            concepts[concept] = None
        elif piece["unit"]:
            concepts[_word_concept(_measure(piece["amount"], piece["unit"]), piece[0])] = None
        else:
            concepts[_word_concept(piece[0][:TOKEN_CHARACTERS])] = None
        place += taken
    telling = [concept for concept in concepts if concept.text not in _STOP_WORDS]
    return tuple(telling or concepts)[:QUERY_CONCEPTS]


def _latin_run(pieces: list[re.Match[str]], place: int) -> Iterator[re.Match[str]]:
    for piece in pieces[place:]:
        if not piece["latin"]:
            return
        yield piece


def _word_concept(token: str, text: str = "") -> Concept:
    return Concept(text or token, ((Term(Kind.WORD, token),),))


def _han_concepts(run: str) -> Iterator[Concept]:
    """One concept a word; a compound that ends in a word with synonyms (赣南脐橙) is taken as its two parts."""
    known = synonyms().expansions
    for word in _segmenter().cut(run):
        tail = next((word[i:] for i in range(2, len(word) - 1) if word[i:] in known), "")
        parts = (word[: -len(tail)], tail) if tail and word not in known else (word,)
        for part in parts:
            found = [terms for equal in known.get(part, (part,)) for terms in _alternatives(equal)]
            yield Concept(part, tuple(dict.fromkeys(found)))


def _alternatives(text: str) -> Iterator[tuple[Term, ...]]:
    """The ways in which an indexed text may hold `text`: as a word, as its smaller words, as its characters."""
    pieces = list(_PIECE.finditer(text))
    if len(pieces) != 1 or not pieces[0]["han"]:
        yield tuple(Term(Kind.WORD, piece[0]) for piece in pieces)
        return
    yield (Term(Kind.WORD, text),)
    if len(text) > 1:
        yield tuple(Term(Kind.PAIR, text[i : i + 2]) for i in range(len(text) - 1))


def _latin_concept(words: list[str]) -> tuple[int, Concept]:
    """How many of the leading Latin `words` make one concept, and that concept.

    It is a phrase with synonyms, pinyin typed syllable by syllable, or one word, which may also be the beginning of
    pinyin or of initials.
    """
    known = synonyms().expansions
    for count in range(min(len(words), 4), 0, -1):
        phrase = " ".join(words[:count])
        if phrase in known:
            found = [terms for equal in known[phrase] for terms in _alternatives(equal)]
            return count, Concept(phrase, tuple(dict.fromkeys(found)))
    spelled = next((i for i, word in enumerate(words) if word not in _syllables()), len(words))
    if spelled > 1:
        joined = "".join(words[:spelled])[:TOKEN_CHARACTERS]
        return spelled, Concept(" ".join(words[:spelled]), ((Term(Kind.PINYIN, joined),),))
    word = words[0][:TOKEN_CHARACTERS]
    if len(word) == 1:
        return 1, _word_concept(word)
    return 1, Concept(word, ((Term(Kind.WORD, word),), (Term(Kind.PINYIN, word),)))


@lru_cache(maxsize=50_000)
def _sound(word: str) -> str:
    """The pinyin of `word` without what southern ears do not tell apart: zh/z, ch/c, sh/s, -ng/-n, l/n."""
    plain = "".join(lazy_pinyin(word, style=Style.NORMAL))
    for strict, loose in (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ng", "n")):
        plain = plain.replace(strict, loose)
    return plain.replace("l", "n")


def is_suggestible(word: str) -> bool:
    """Whether an indexed word may be suggested: two to eight Chinese characters."""
    return re.fullmatch(f"[{_HAN}]{{2,8}}", word) is not None


@dataclass(frozen=True)
class Nearest:
    """The known word that sounds most like a query, "" when none is near; whether it sounds the same."""

    word: str = ""
    same_sound: bool = False


def nearest_word(query: str, vocabulary: Iterable[tuple[str, int]]) -> Nearest:
    """The word of `vocabulary` (word, number of documents) that sounds most like `query`.

    The same sound wins; with four letters or more, one letter may be missing, added or wrong.
    """
    wanted = _sound(
        "".join(piece[0] for piece in _PIECE.finditer(normalise(query.strip()[:QUERY_CHARACTERS])))
    )
    if not 2 <= len(wanted) <= TOKEN_CHARACTERS:
        return Nearest()
    near: list[tuple[int, int, str]] = []
    for word, documents in vocabulary:
        sound = _sound(word)
        if sound == wanted:
            near.append((0, -documents, word))
        elif len(wanted) >= 4 and _is_one_edit_away(sound, wanted):
            near.append((1, -documents, word))
    if not near:
        return Nearest()
    edits, _, word = min(near)
    return Nearest(word, same_sound=edits == 0)


def _is_one_edit_away(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    if len(longer) - len(shorter) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
    skip = len(longer) == len(shorter)
    return shorter[same + skip :] == longer[same + 1 :]
