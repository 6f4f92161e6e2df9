"""The prediction on an attacked image while an intervention is in force."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.axes import Numbers, numbers
from dashboard.figures.probabilities import top_probabilities
from dashboard.figures.theme import Theme, bar_marker


def intervened_probabilities(
    class_names: Sequence[str],
    clean: Numbers,
    attacked: Numbers,
    intervened: Numbers,
    theme: Theme = "light",
    k: int = 3,
) -> go.Figure:
    """Probabilities of every class among the top k of any of the three, the most probable on top.

    Args:
        class_names: K names.
        clean: (K,) probabilities in [0, 1] of the clean image.
        attacked: (K,) of its attacked copy.
        intervened: (K,) of the attacked copy under the intervention; None, in any of the three, counts as 0.
        theme: `"light"` or `"dark"`.
        k: how many classes of each to show; all classes that are in any list appear with all bars.

    Raises:
        ValueError: when the probabilities are not one a class name.
    """
    shares = (np.nan_to_num(numbers(values)) for values in (clean, attacked, intervened))
    before, after, changed = shares
    figure = top_probabilities(class_names, before, after, theme, k, reference=changed)
    # The third bar is no pinned image here: it takes the colour of what a person does.
    figure.data[2].update(name="under the intervention", marker=bar_marker("accent", theme))
    return figure
