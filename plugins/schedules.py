"""When training runs: whenever ratings are announced, and by a cron where the settings name one."""

from __future__ import annotations

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable

from marquee.settings import settings
from plugins.assets import RATINGS


def training_schedule() -> list[Asset] | AssetOrTimeSchedule:
    """The schedule of `train_recommender`; the cron is read in UTC."""
    cron = settings().airflow.train_schedule
    if not cron:
        return [RATINGS]
    return AssetOrTimeSchedule(timetable=CronTriggerTimetable(cron, timezone="UTC"), assets=[RATINGS])
