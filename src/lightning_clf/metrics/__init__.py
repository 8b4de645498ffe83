"""Metrics: predictions and targets → numbers, exact under any number of processes."""

from lightning_clf.metrics.agreement import AgreementScores
from lightning_clf.metrics.base import ClassRow, Scores, TaskMetric
from lightning_clf.metrics.curves import Agreement, CurveCounts, Curves, ScoreCounts
from lightning_clf.metrics.entities import EntityF1
from lightning_clf.metrics.grouped import GroupedRanking
from lightning_clf.metrics.metric_set import MetricSet, build_metrics
from lightning_clf.metrics.multi_label import MultiLabelScores
from lightning_clf.metrics.ranking import RankingScores
from lightning_clf.metrics.single_label import SingleLabelScores

__all__ = [
    "Agreement",
    "AgreementScores",
    "ClassRow",
    "CurveCounts",
    "Curves",
    "EntityF1",
    "GroupedRanking",
    "MetricSet",
    "MultiLabelScores",
    "RankingScores",
    "ScoreCounts",
    "Scores",
    "SingleLabelScores",
    "TaskMetric",
    "build_metrics",
]
