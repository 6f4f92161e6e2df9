"""Does adversarial hardness foretell which images withstand an attack?"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.axes import Numbers, numbers
from dashboard.figures.theme import Theme, bar_marker, new_figure


def hardness_groups(
    groups: Numbers, epsilon: float, theme: Theme = "light", counts: Sequence[int] | None = None
) -> go.Figure:
    """Share of the images that withstand the FGSM attack, a bar for each group of equal size, the easiest first.

    Args:
        groups: (G,) shares in [0, 1], from the group that hardness ranks easiest to attack to the hardest; None for an
            empty group.
        epsilon: strength of the attack.
        theme: `"light"` or `"dark"`.
        counts: (G,) images of each group, for the hover.

    Raises:
        ValueError: when there is not one count a group.
    """
    shares = numbers(groups)
    sizes = [None] * len(shares) if counts is None else list(counts)
    if len(sizes) != len(shares):
        raise ValueError(f"Expected {len(shares)} counts, one a group, got {len(sizes)}.")
    names = [_name(place, len(shares)) for place in range(len(shares))]
    bars = go.Bar(
        name="images that withstand FGSM",
        x=names,
        y=shares,
        marker=bar_marker("accent", theme),
        text=["" if np.isnan(share) else f"{share:.0%}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        customdata=[list(row) for row in zip(names, shares.tolist(), sizes, strict=True)],
        meta={"columns": ["group", "share", "images"]},
        hovertemplate="%{x}: %{y:.1%}"
        + ("" if counts is None else " of %{customdata[2]:,} images")
        + "<extra></extra>",
    )
    figure = new_figure(theme, bargap=0.35)
    figure.add_trace(bars)
    part = {5: "a fifth", 4: "a quarter", 3: "a third", 2: "half"}.get(len(shares), "an equal part")
    figure.update_xaxes(type="category", showgrid=False, title_text=f"hardness of the images ({part} of them each)")
    figure.update_yaxes(
        title_text=f"images that withstand<br>FGSM at ε = {epsilon:.3g}", tickformat=".0%", range=[0, 1.1]
    )
    figure.update_yaxes(tickvals=[0, 0.25, 0.5, 0.75, 1])
    return figure


def _name(place: int, groups: int) -> str:
    if groups > 1 and place in (0, groups - 1):
        return "easiest" if place == 0 else "hardest"
    return f"group {place + 1}"
