"""Metrics by their configured names, and scoring that always ends in a number or a reason."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from headgate_core.errors import ConfigurationError
from headgate_core.plugins import names as plugin_names
from headgate_core.plugins import unknown
from headgate_core.ports import Metric, Tools
from headgate_core.settings.base import PluginUse
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.types import Sample, Score

log = logging.getLogger("headgate.evals")

TIMEOUT_S = 120.0
"""The longest that one metric may take over one call."""


class Scorer:
    """Scores samples; builds each metric once, when it is first asked for.

    A name is looked up in the configured ``metrics`` first and is a plugin's own name otherwise.
    """

    def __init__(self, tools: Tools) -> None:
        configured = tools.settings.metrics
        self._named = {m.name: PluginUse(use=m.use, options=m.options) for m in configured}
        self._tools = tools
        self._built: dict[str, Metric] = {}

    def prepare(self, names: Iterable[str]) -> None:
        """Build the metrics ``names``. Raises ``ConfigurationError`` for one that is not known."""
        for name in names:
            self._metric(name)

    def _metric(self, name: str) -> Metric:
        if name not in self._built:
            check_name(name, self._named)
            use = self._named.get(name, PluginUse(use=name))
            metric = self._tools.plugin("metrics", use)
            if (bind := getattr(metric, "bind", None)) is not None:
                bind(self._tools)
            self._built[name] = metric
        return self._built[name]

    async def score(self, names: Iterable[str], sample: Sample) -> list[Score]:
        """The scores of all ``names``, in order. Never raises for what a metric does."""
        scores: list[Score] = []
        for name in names:
            scores.extend(await self._one(name, sample))
        return scores

    async def _one(self, name: str, sample: Sample) -> list[Score]:
        if sample.failed:
            return [Score(name, None, "call_failed")]
        try:
            metric = self._metric(name)
            async with asyncio.timeout(TIMEOUT_S):
                scores = await metric.score(sample)
            return [_checked(name, score) for score in scores]
        except Exception as error:  # a foreign metric; its failure is a score without a value
            log.exception("call %s: metric %s failed", sample.call_id, name)
            return [Score(name, None, "metric_error", details={"error": type(error).__name__})]


def check_name(name: str, named: Mapping[str, object]) -> None:
    """Raises ``ConfigurationError`` when ``name`` is neither configured nor a plugin."""
    known = plugin_names("metrics")
    if name not in named and name not in known and ":" not in name:
        raise ConfigurationError(unknown("metric", name, [*named, *known]))


def family(metric: str) -> str:
    """The metric that a full name belongs to: ``latency`` of ``latency.total_s``."""
    return metric if ":" in metric else metric.partition(".")[0]


def _checked(name: str, score: Score) -> Score:
    """The score under its configured name; a value that is no number becomes a reason."""
    _, dot, member = score.metric.partition(".")
    full = f"{name}{dot}{member}"
    if score.unscored:
        return replace(score, metric=full, value=None)
    if score.value is None or not math.isfinite(score.value):
        details = {"error": f"value is {score.value}"}
        return replace(score, metric=full, value=None, unscored="metric_error", details=details)
    return replace(score, metric=full, value=float(score.value))


def route_metrics(settings: GatewaySettings, route: str) -> Sequence[str]:
    """The metrics that calls of ``route`` are scored by; a bare pool has the defaults."""
    chosen = settings.defaults.scores
    for candidate in settings.routes:
        if candidate.name == route and candidate.scores is not None:
            chosen = candidate.scores
    return list(dict.fromkeys(family(score.metric) for score in chosen))
