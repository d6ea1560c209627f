"""The charts of a sweep: the check along each axis, and every trial across all axes."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
import plotly.graph_objects as go

from nearfar.report.charts import frame, plain, shortened
from nearfar.sweeps.axes import AxisSpec, RangeSpec, Value, is_wide
from nearfar.sweeps.study import Study, shown_value
from nearfar.sweeps.trials import Trial, best_first

_NEXT_BEST = 5
_BINS, _LEAST_FOR_BINS = 5, 15
_MOST_LABELS = 8


def axis_chart(axis: AxisSpec, trials: Sequence[Trial]) -> go.Figure:
    """The mean check of each trial along one axis, and over trials where several share a value.

    Args:
        axis: Along it.
        trials: Those that finished are shown.
    """
    finished = [trial for trial in trials if trial.state == "finished"]
    values = [trial.point[axis.setting] for trial in finished]
    checks = [100 * (trial.mean or 0.0) for trial in finished]
    numeric = _is_numeric(axis)
    figure = frame(plain(shortened(axis.setting)), "check, %")
    figure.add_scatter(
        x=values if numeric else [plain(shortened(str(value))) for value in values],
        y=checks,
        mode="markers",
        name="a trial",
        meta={"colour": "grey"},
        marker={"size": 7, "opacity": 0.55},
        text=[f"trial {trial.number}" for trial in finished],
        hovertemplate="%{text}: %{y:.1f} % at %{x}<extra></extra>",
    )
    groups = _binned(values, checks) if isinstance(axis, RangeSpec) else _grouped(values, checks)
    if groups:
        figure.add_scatter(
            x=[place if numeric else plain(shortened(str(place))) for place, _ in groups],
            y=[fmean(held) for _, held in groups],
            error_y={
                "array": [stdev(held) if len(held) > 1 else 0.0 for _, held in groups],
                "thickness": 1.5,
                "width": 4,
            },
            mode="lines+markers",
            name="mean ± sd over trials",
            meta={"colour": "accent"},
            hovertemplate="%{y:.1f} % on average at %{x}<extra></extra>",
        )
    _scale(figure, axis, numeric=numeric)
    return figure


def parallel_chart(study: Study, trials: Sequence[Trial]) -> go.Figure:
    """Every trial as a line across all axes, the check last.

    Args:
        study: Its axes, in order.
        trials: Those that finished, and those that were ended early.
    """
    best = best_first(trials)
    pruned = [trial for trial in trials if trial.state == "pruned" and trial.mean is not None]
    shown = [*best, *pruned]
    checks = [100 * (trial.mean or 0.0) for trial in shown]
    low, high = (min(checks), max(checks)) if shown else (0.0, 100.0)
    scales = [_Scale(axis, shown) for axis in study.axes]
    figure = frame("", "")
    groups = [
        ("ended early", pruned, "grey", {"width": 1, "dash": "dot"}, 0.6),
        ("others", best[1 + _NEXT_BEST :], "grey", {"width": 1}, 0.5),
        ("next best", best[1 : 1 + _NEXT_BEST], "orange", {"width": 1.6}, 0.9),
        ("best", best[:1], "accent", {"width": 3.5}, 1.0),
    ]
    for name, held, colour, line, opacity in groups:
        x: list[int | None] = []
        y: list[float | None] = []
        text: list[str] = []
        for trial in held:
            check = 100 * (trial.mean or 0.0)
            heights = [scale.height(trial.point[scale.axis.setting]) for scale in scales]
            heights.append(0.5 if high == low else (check - low) / (high - low))
            told = [
                f"{plain(shortened(scale.axis.setting))} "
                f"{plain(shown_value(trial.point[scale.axis.setting]))}"
                for scale in scales
            ]
            x += [*range(len(heights)), None]
            y += [*heights, None]
            text += [f"trial {trial.number}: {each}" for each in (*told, f"{check:.1f} %")]
            text.append("")
        if held:
            figure.add_scatter(
                x=x,
                y=y,
                mode="lines",
                name=name,
                line=line,
                opacity=opacity,
                meta={"colour": colour},
                text=text,
                hoverinfo="text",
            )
    labels = [scale.labels() for scale in scales]
    labels.append(
        [(0.0, f"{low:.1f} %"), (1.0, f"{high:.1f} %")] if high > low else [(0.5, f"{low:.1f} %")]
    )
    for place, named in enumerate(labels):
        figure.add_shape(type="line", x0=place, x1=place, y0=0, y1=1, line={"width": 1})
        for height, words in named:
            figure.add_annotation(
                x=place,
                y=height,
                text=words,
                showarrow=False,
                xanchor="left",
                xshift=5,
                name="label",
            )
    titles = [axis.setting.rpartition(".")[2] for axis in study.axes] + ["check"]
    figure.update_xaxes(
        tickvals=list(range(len(titles))),
        ticktext=[plain(shortened(title)) for title in titles],
        range=[-0.15, len(titles) - 1 + 0.35],
        showgrid=False,
    )
    figure.update_yaxes(visible=False, range=[-0.06, 1.06])
    return figure


class _Scale:
    """Where the values of an axis lie between 0 and 1."""

    def __init__(self, axis: AxisSpec, trials: Sequence[Trial]) -> None:
        self.axis = axis
        values = [trial.point[axis.setting] for trial in trials]
        self._values = list(dict.fromkeys([*axis.ends, *values]))
        self._numeric = _is_numeric(axis)
        if self._numeric:
            numbers: list[Any] = self._values
            self._values = sorted(numbers)
            self._log = _is_log(axis)

    def height(self, value: Value) -> float:
        """Of a value."""
        if len(self._values) == 1:
            return 0.5
        if not self._numeric:
            return self._values.index(value) / (len(self._values) - 1)
        place, low, high = (self._number(each) for each in (value, *self._ends()))
        return (place - low) / (high - low)

    def labels(self) -> list[tuple[float, str]]:
        """Heights that are named, with what stands there: all of some values, else the ends."""
        few = len(self._values) <= _MOST_LABELS and not isinstance(self.axis, RangeSpec)
        named = self._values if few else self._ends()
        return [(self.height(each), plain(shortened(shown_value(each)))) for each in named]

    def _ends(self) -> tuple[Value, Value]:
        return self._values[0], self._values[-1]

    def _number(self, value: Any) -> float:
        return float(np.log(value)) if self._log else float(value)


def _is_numeric(axis: AxisSpec) -> bool:
    return all(isinstance(end, int | float) and not isinstance(end, bool) for end in axis.ends)


def _is_log(axis: AxisSpec) -> bool:
    if isinstance(axis, RangeSpec):
        return axis.log
    numbers: list[Any] = list(axis.ends)
    return is_wide(min(numbers), max(numbers))


def _scale(figure: go.Figure, axis: AxisSpec, *, numeric: bool) -> None:
    if not numeric:
        order = [plain(shortened(str(end))) for end in axis.ends]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=order)
        return
    if not isinstance(axis, RangeSpec):
        ticks: list[Any] = sorted(set(axis.ends))  # pyright: ignore[reportArgumentType]
        figure.update_xaxes(tickvals=ticks, ticktext=[shown_value(each) for each in ticks])
    if _is_log(axis):
        figure.update_xaxes(type="log", exponentformat="power")


def _grouped(values: Sequence[Any], checks: Sequence[float]) -> list[tuple[Any, list[float]]]:
    """Checks by value, in the order of the axis; numbers in their own."""
    held: dict[Any, list[float]] = {}
    for value, check in zip(values, checks, strict=True):
        held.setdefault(value, []).append(check)
    numbers = all(isinstance(value, int | float) for value in held)
    return [(value, held[value]) for value in (sorted(held) if numbers else held)]


def _binned(values: Sequence[Any], checks: Sequence[float]) -> list[tuple[Any, list[float]]]:
    """Checks of neighbouring values together, each bin at its median; none of too few."""
    if len(values) < _LEAST_FOR_BINS:
        return []
    order = np.argsort(np.array(values, dtype=float), kind="stable")
    return [
        (float(np.median([values[row] for row in rows])), [checks[row] for row in rows])
        for rows in np.array_split(order, _BINS)
    ]
