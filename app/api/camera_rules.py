"""The rules of cameras as the service knows them: which hold for one, what is asked for, and those of the watch."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query

from vigil.errors import StoreError
from vigil.questions import Question
from vigil.rules import (
    CameraFaultSettings,
    CameraRules,
    Fault,
    ObservationSettings,
    ResolvedTask,
    RuleSettings,
    checked_rules,
    rules_of_camera,
    with_names,
)
from vigil.rules.camera_rules import stored_rules
from vigil.store.cameras import CameraRecord
from vigil.watch.task_calibrations import TaskCalibrations

from .auth import CameraReader
from .camera_tasks import require_presets, told_tasks
from .context import ApiContext
from .rule_schemas import CameraRulesForm, RuleListOut, RuleSettingsOut, ThresholdsForm
from .schemas import TierName, problems

OF_VIEWS = frozenset({Fault.COVERED, Fault.MOVED, Fault.BLURRED})
"""The faults that are told by comparing with the usual view."""

FIELDS = ("rules", "thresholds", "schedule", "timezone", "tasks")


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """The rules of one camera: what was chosen, what it comes to, and what is wrong with it."""

    chosen: CameraRules
    rules: tuple[RuleSettings, ...]
    tasks: tuple[ResolvedTask, ...]
    problems: tuple[str, ...]
    calibrations: TaskCalibrations | None = None

    def tiers(self, rule: str = "") -> dict[TierName, float]:
        """The tiers of a rule, or of the first one."""
        found = next((each.tiers for each in self.rules if each.name == rule), self.rules[0].tiers)
        return {"low": found.low, "medium": found.medium, "high": found.high}

    @property
    def is_scheduled(self) -> bool:
        """Whether its alarms count now."""
        schedule = self.chosen.weekly()
        return schedule is None or schedule.is_open(time.time())

    @property
    def compares_views(self) -> bool:
        """Whether one of them compares what the camera shows with its usual view."""
        return any(isinstance(rule, CameraFaultSettings) and rule.fault in OF_VIEWS for rule in self.rules)

    def as_fields(self) -> dict[str, Any]:
        """What a camera is told with."""
        told = self.chosen.as_data()
        thresholds = [ThresholdsForm.model_validate(each) for each in told["thresholds"]]
        return told | {"thresholds": thresholds, "tasks": told_tasks(self.chosen.tasks, self.tasks, self.calibrations)}


def watch_rules(context: ApiContext) -> tuple[RuleSettings, ...]:
    """The rules of the watch."""
    service = context.site.service
    return with_names(context.site.settings.rules, task="") if service is None else service.rules


def own_question(context: ApiContext) -> Question | None:
    """The watch's own question; None until the model has answered."""
    service = context.site.service
    judge = None if service is None else service.judge
    return None if judge is None else judge.question


def rules_in_force(context: ApiContext, stored: str) -> RulesInForce:
    """The rules of a camera with this text in its row."""
    chosen, damage = stored_rules(stored)
    held = rules_of_camera(watch_rules(context), chosen, own=own_question(context))
    problems = (*([damage] if damage else []), *held.problems)
    service = context.site.service
    watch = None if service is None else service.watch
    return RulesInForce(chosen, held.rules, held.tasks, problems, None if watch is None else watch.calibrations)


def rules_at(context: ApiContext, camera_id: str) -> RulesInForce:
    """The rules of the camera with this id; those of the watch if there is none, or it cannot be read."""
    try:
        found = context.store.cameras.with_id(camera_id) if camera_id else None
    except StoreError:
        found = None
    return rules_in_force(context, "" if found is None else found.rules or "")


def asked_rules(context: ApiContext, asked: CameraRulesForm, record: CameraRecord | None) -> CameraRules | None:
    """The rules that a camera is to have, None if nothing is asked of them; raises UsageError and ConfigError."""
    said: dict[str, Any] = asked.model_dump(include=set(FIELDS), exclude_none=True)
    if not said:
        return None
    kept = stored_rules("" if record is None else record.rules or "")[0]
    before = kept.as_data() if "tasks" not in said else _without_lost_tasks(context, kept, said["tasks"])
    if not said.get("schedule", before["schedule"]).strip() and "timezone" not in said:
        before["timezone"] = ""
    chosen = CameraRules.from_data(before | said)
    require_presets(chosen.tasks, kept.tasks)
    return checked_rules(watch_rules(context), chosen, own=own_question(context))


def _without_lost_tasks(context: ApiContext, kept: CameraRules, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """What a camera has, without what it says of the rules of questions that are taken from it."""

    def names(chosen: CameraRules) -> set[str]:
        return {each.rule.name for each in rules_of_camera((), chosen, own=own_question(context)).tasks}

    gone = names(kept) - names(CameraRules.from_data({"tasks": tasks}))
    before = kept.as_data()
    before["rules"] = [name for name in before["rules"] if name not in gone]
    before["thresholds"] = [own for own in before["thresholds"] if own["rule"] not in gone]
    return before


def told_rules(asked: CameraRulesForm) -> dict[str, str]:
    """What the audit says of it."""
    told: dict[str, str] = {}
    if asked.rules is not None:
        told["rules"] = ", ".join(asked.rules) or "all"
    if asked.thresholds is not None:
        own = [each.model_dump_json(exclude_none=True) for each in asked.thresholds]
        told["thresholds"] = ", ".join(own) or "none"
    if asked.schedule is not None:
        told["schedule"] = asked.schedule or "none"
    if asked.tasks is not None:
        told["tasks"] = ", ".join(each.ask or each.question for each in asked.tasks) or "none"
    return told | ({} if asked.timezone is None else {"timezone": asked.timezone or "of this machine"})


def rules_router(context: ApiContext) -> APIRouter:
    """The route of the rules of the watch."""
    router = APIRouter(tags=["cameras"])

    @router.get("/rules", response_model=RuleListOut, responses=problems(503))
    def list_rules(
        caller: CameraReader,
        camera: Annotated[
            str, Query(max_length=200, description="Id of a camera: with the rules of its own questions.")
        ] = "",
    ) -> RuleListOut:
        """The rules of the watch, which cameras may choose from, and their thresholds."""
        rules = list(watch_rules(context))
        if camera:
            known = {rule.name for rule in rules}
            rules += [rule for rule in rules_at(context, camera).rules if rule.name not in known]
        return RuleListOut(rules=[_settings(rule) for rule in rules])

    return router


def _settings(rule: RuleSettings) -> RuleSettingsOut:
    tiers = {"low": rule.tiers.low, "medium": rule.tiers.medium, "high": rule.tiers.high}
    told = {name: getattr(rule, name, None) for name in RuleSettingsOut.model_fields}
    if isinstance(rule, ObservationSettings):
        # Its terms are about words and fields, and have no probability.
        told |= {"all": None, "label": rule.shown}
    return RuleSettingsOut.model_validate(told | {"tiers": tiers})
