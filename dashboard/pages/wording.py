"""Small questions of English."""

from __future__ import annotations

# Written with a vowel, spoken with a consonant.
_SPOKEN_AS_CONSONANT = ("uni", "use", "euro", "one")


def with_article(name: str) -> str:
    """A class name with its indefinite article: a 7, an 8, an airplane, a unicycle."""
    return f"{'an' if _starts_with_vowel(name) else 'a'} {name}"


def _starts_with_vowel(name: str) -> bool:
    word = name.strip().lower()
    if word[:1].isdigit():
        return word.startswith("8") or word in ("11", "18")
    return word[:1] in ("a", "e", "i", "o", "u") and not word.startswith(_SPOKEN_AS_CONSONANT)
