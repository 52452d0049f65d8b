"""The code a payer writes into the remark of a bank transfer, and how it is found there again.

Eight characters of Crockford's base 32: seven random ones and a check character. The weights of the check are
different powers of a generator of GF(32), so every single wrong character and every exchange of two
characters, neighbours or not, is found. Tellers type codes in lower case, in full-width letters, with gaps,
with O for 0 and I for 1; the reader allows for that. Which order a code belongs to is the caller's question.
"""

from __future__ import annotations

import re
import unicodedata

from marketplace.core.ids import ALPHABET, random_bits

CODE_LENGTH = 8
DATA_LENGTH = CODE_LENGTH - 1
DATA_BITS = 5 * DATA_LENGTH
REMARK_LIMIT = 2_000
LOOK_ALIKES = str.maketrans("OIL", "011")
GF32_POLYNOMIAL = 0b100101  # x^5 + x^2 + 1, primitive over GF(2)
_RUN = re.compile(r"[0-9A-Z]+(?:[\s\-‐-―_./:,·]{1,3}[0-9A-Z]+)*")
_WORD = re.compile(r"[0-9A-Z]+")
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


def new_code() -> str:
    """A random code. 35 bits: keep codes unique in the database and draw again on a clash."""
    return code_of(random_bits(DATA_BITS, purpose="remittance"))


def code_of(number: int) -> str:
    """The code of `number` (0 up to 2**35): its seven characters and the check character."""
    if not 0 <= number < 1 << DATA_BITS:
        raise ValueError("a remittance code holds 35 bits")
    values = [number >> 5 * place & 31 for place in reversed(range(DATA_LENGTH))]
    values.append(_check_value(values))
    return "".join(ALPHABET[value] for value in values)


def is_code(text: str) -> bool:
    """True for exactly eight characters of the alphabet, in upper case, whose check character is right."""
    if len(text) != CODE_LENGTH or not all(character in _VALUES for character in text):
        return False
    values = [_VALUES[character] for character in text]
    return values[-1] == _check_value(values[:-1])


def display_code(code: str) -> str:
    """The code in two groups, as printed on a payment notice: "7K3Q-9XWM"."""
    return f"{code[:4]}-{code[4:]}"


def find_codes(remark: str) -> tuple[str, ...]:
    """Every code that can be read in a bank remark, the most likely first, each once.

    A code that stands between separators comes before one cut out of a longer string of letters and digits.
    One string in 32 passes the check by chance, so the caller looks each up among its open payments; no
    answer, or two open payments, is a case for a person.
    """
    text = unicodedata.normalize("NFKC", remark[:REMARK_LIMIT]).upper()
    standing: list[str] = []
    cut_out: list[str] = []
    for run in _RUN.finditer(text):
        words = _WORD.findall(run.group())
        line = "".join(words).translate(LOOK_ALIKES)
        edges = {0}
        for word in words:
            edges.add(max(edges) + len(word))
        for start in range(len(line) - CODE_LENGTH + 1):
            window = line[start : start + CODE_LENGTH]
            if is_code(window):
                (standing if {start, start + CODE_LENGTH} <= edges else cut_out).append(window)
    return tuple(dict.fromkeys(standing + cut_out))


def _check_value(values: list[int]) -> int:
    """The value c with sum(values[i] * g**(i+1)) + c = 0 in GF(32), where addition is exclusive or."""
    total = 0
    for value in reversed(values):  # Horner's rule
        total = _times_generator(total ^ value)
    return total


def _times_generator(value: int) -> int:
    doubled = value << 1
    return doubled ^ GF32_POLYNOMIAL if doubled & 32 else doubled
