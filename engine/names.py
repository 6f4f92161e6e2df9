"""Names of classes and layers where they stand as keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence


def told_apart(names: Sequence[str], taken: Collection[str] = ()) -> list[str]:
    """The names, in order, none twice: what occurs more than once gets its index, as in `crane (134)`.

    ImageNet has two classes called "crane" and two called "maillot"; folders of a person's own may have any name.

    Args:
        names: the names; their places are the indices.
        taken: names that stand for something else; whoever has one gets its index too.
    """
    times = Counter(names) + Counter(set(taken))
    apart = [name if times[name] == 1 else f"{name} ({index})" for index, name in enumerate(names)]
    marked = names
    while len({*apart, *taken}) < len(apart) + len(set(taken)):  # somebody has such a name already
        apart = marked = [f"{name} ({index})" for index, name in enumerate(marked)]
    return apart
