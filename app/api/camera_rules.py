"""The rules of cameras as the service knows them: which hold for one, what is asked for, and those of the watch."""

import time
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter

from vigil.errors import StoreError
from vigil.rules import CameraRules, ObservationSettings, RuleSettings, checked_rules, rules_of_camera, with_names
from vigil.rules.camera_rules import stored_rules
from vigil.store.cameras import CameraRecord

from .auth import CameraReader
from .context import ApiContext
from .rule_schemas import CameraRulesForm, RuleListOut, RuleSettingsOut, ThresholdsForm
from .schemas import TierName, problems

FIELDS = ("rules", "thresholds", "schedule", "timezone")


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """The rules of one camera: what was chosen, what it comes to, and what is wrong with it."""

    chosen: CameraRules
    rules: tuple[RuleSettings, ...]
    problems: tuple[str, ...]

    def tiers(self, rule: str = "") -> dict[TierName, float]:
        """The tiers of a rule, or of the first one."""
        found = next((each.tiers for each in self.rules if each.name == rule), self.rules[0].tiers)
        return {"low": found.low, "medium": found.medium, "high": found.high}

    @property
    def is_scheduled(self) -> bool:
        """Whether its alarms count now."""
        schedule = self.chosen.weekly()
        return schedule is None or schedule.is_open(time.time())

    def as_fields(self) -> dict[str, Any]:
        """What a camera is told with."""
        told = self.chosen.as_data()
        return told | {"thresholds": [ThresholdsForm.model_validate(each) for each in told["thresholds"]]}


def watch_rules(context: ApiContext) -> tuple[RuleSettings, ...]:
    """The rules of the watch."""
    service = context.site.service
    return with_names(context.site.settings.rules, task="") if service is None else service.rules


def rules_in_force(context: ApiContext, stored: str) -> RulesInForce:
    """The rules of a camera with this text in its row."""
    chosen, damage = stored_rules(stored)
    rules, wrong = rules_of_camera(watch_rules(context), chosen)
    return RulesInForce(chosen, rules, (*([damage] if damage else []), *wrong))


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
    before = stored_rules("" if record is None else record.rules or "")[0].as_data()
    if not said.get("schedule", before["schedule"]).strip() and "timezone" not in said:
        before["timezone"] = ""
    return checked_rules(watch_rules(context), CameraRules.from_data(before | said))


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
    return told | ({} if asked.timezone is None else {"timezone": asked.timezone or "of this machine"})


def rules_router(context: ApiContext) -> APIRouter:
    """The route of the rules of the watch."""
    router = APIRouter(tags=["cameras"])

    @router.get("/rules", response_model=RuleListOut, responses=problems(503))
    def list_rules(caller: CameraReader) -> RuleListOut:
        """The rules of the watch, which cameras may choose from, and their thresholds."""
        return RuleListOut(rules=[_settings(rule) for rule in watch_rules(context)])

    return router


def _settings(rule: RuleSettings) -> RuleSettingsOut:
    tiers = {"low": rule.tiers.low, "medium": rule.tiers.medium, "high": rule.tiers.high}
    told = {name: getattr(rule, name, None) for name in RuleSettingsOut.model_fields}
    if isinstance(rule, ObservationSettings):
        # Its terms are about words and fields, and have no probability.
        told |= {"all": None, "label": rule.shown}
    return RuleSettingsOut.model_validate(told | {"tiers": tiers})
