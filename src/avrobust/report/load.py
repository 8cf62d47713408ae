"""All finished attacks under a folder of runs, each with the names that tables use."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, final

from avrobust.errors import UserError
from avrobust.experiments.identity import identity
from avrobust.experiments.kept_clips import unreadable_file
from avrobust.experiments.listing import flat
from avrobust.experiments.result_files import FILE, Unreadable, folder_of, read_evaluations
from avrobust.experiments.results import ConditionResult, EvaluationResult
from avrobust.experiments.settings import Experiment
from avrobust.experiments.sources import Stale, stale
from avrobust.report.paper import Published, published


class Labels(NamedTuple):
    """What a line of a table is called."""

    dataset: str
    threat: str
    attack: str
    fusion: str
    defense: str
    eps: float
    split: str


@final
@dataclass(frozen=True)
class RunEntry:
    """One finished attack."""

    labels: Labels
    result: EvaluationResult
    folder: Path
    published: Published | None
    subject: str  # the same for all attacks under one threat on one model, whatever its seed
    settings: str = ""  # in what the run differs from others with the same labels
    stale: Stale | None = None  # why the code at hand would not give this result

    @property
    def run_id(self) -> str:
        return self.result.run_id

    @property
    def seed(self) -> int:
        return self.result.experiment.model.seed

    @property
    def title(self) -> str:
        """What was attacked and how, in a line."""
        labels, seed = self.labels, self.seed
        model = labels.fusion
        if self.result.experiment.model.defended:
            model = f"{model} + {labels.defense}"
        attack = f"{labels.attack}, threat {labels.threat}, eps {labels.eps:g}"
        return f"{labels.dataset}, {model}: {attack}, {labels.split} split, seed {seed}"

    @property
    def on_test_split(self) -> bool:
        """Whether all clips of the test split were attacked."""
        settings = self.result.settings
        return settings.split == "test" and settings.clips is None

    @property
    def single_modality_factor(self) -> float:
        """The factor on the budget where one modality is attacked alone; 1 if it cannot be told."""
        attacked = self.result.attacked
        joint = _with_modalities(attacked, 2)
        for condition in _with_modalities(attacked, 1):
            for modality, eps in condition.eps.items():
                if joint and joint[0].eps.get(modality):
                    return round(eps / joint[0].eps[modality], 6)
        return 1.0

    @property
    def attack_overrides(self) -> str:
        """The attack's settings that the command named, for example "queries=500, steps=50"."""
        named = []
        for override in self.result.experiment.execution.overrides:
            text = override.lstrip("+")
            if text.startswith("attack."):
                named.append(text.removeprefix("attack."))
        return ", ".join(sorted(named))


class Runs(NamedTuple):
    """All finished attacks, and the files that cannot be read."""

    root: Path
    entries: list[RunEntry]
    unreadable: list[Unreadable]

    def only(self, run_ids: set[str]) -> "Runs":
        """Some of the runs alone."""
        kept = [entry for entry in self.entries if entry.run_id in run_ids]
        return Runs(self.root, kept, self.unreadable)

    def without(self, reasons: dict[str, str]) -> "Runs":
        """The runs without those that cannot be used, which are listed with their reasons.

        Raises:
            UserError: no run is left.
        """
        kept = []
        unreadable = list(self.unreadable)
        for entry in self.entries:
            if entry.run_id in reasons:
                unreadable.append(Unreadable(entry.folder / FILE, reasons[entry.run_id]))
            else:
                kept.append(entry)
        if not kept:
            raise _nothing_finished(self.root, unreadable)
        return Runs(self.root, kept, unreadable)


def load(root: Path) -> Runs:
    """Reads the results of all finished attacks.

    Args:
        root: the folder of all runs.

    Raises:
        UserError: there is no finished attack.
    """
    found, unreadable = read_evaluations(root)
    entries = []
    for result in found:
        folder = folder_of(root, result.task, result.run_id)
        damage = unreadable_file(folder, result)
        if damage:
            unreadable.append(Unreadable(*damage))
            continue
        try:
            entries.append(_entry(result, root))
        except Exception as error:  # right types, and values that no code of ours writes
            reason = f"damaged: {type(error).__name__}: {' '.join(str(error).split())}"
            unreadable.append(Unreadable(folder / FILE, reason))
    if not entries:
        raise _nothing_finished(root, unreadable)
    entries.sort(key=lambda entry: (entry.labels, entry.seed, entry.run_id))
    return Runs(root, _with_settings(entries), unreadable)


def _nothing_finished(root: Path, unreadable: Sequence[Unreadable]) -> UserError:
    reason = f"; {unreadable[0].path}: {unreadable[0].reason}" if unreadable else ""
    return UserError(
        f"{root}: no finished attack; run python attack.py first, or give --runs FOLDER{reason}"
    )


def dataset_name(experiment: Experiment) -> str:
    """The data set's name; of `dataset=folder` that of the folder."""
    dataset = experiment.model.dataset
    if dataset.name != "folder":
        return dataset.name
    return Path(dataset.values["root"]).resolve().name


def _entry(result: EvaluationResult, root: Path) -> RunEntry:
    experiment, settings = result.experiment, result.settings
    labels = Labels(
        dataset=dataset_name(experiment),
        threat=settings.threat.name,
        attack=result.attack_name,
        fusion=experiment.model.fusion.name,
        defense=experiment.model.defense.name,
        eps=settings.eps,
        split=result.split_name,
    )
    folder = folder_of(root, result.task, result.run_id)
    staleness = stale(result, experiment, root)
    return RunEntry(labels, result, folder, published(result), _subject(result), stale=staleness)


def _subject(result: EvaluationResult) -> str:
    content = identity(result.experiment)
    del content["attack"], content["seed"]
    text = json.dumps([result.task, result.data, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _with_settings(entries: list[RunEntry]) -> list[RunEntry]:
    """The entries; those with the same labels are told apart by the settings that differ."""
    by_labels: dict[Labels, list[RunEntry]] = {}
    for entry in entries:
        by_labels.setdefault(entry.labels, []).append(entry)
    named: dict[str, RunEntry] = {}
    for same in by_labels.values():
        for entry, settings in zip(same, _differences(same), strict=True):
            named[entry.run_id] = replace(entry, settings=settings)
    return [named[entry.run_id] for entry in entries]


def _differences(entries: Sequence[RunEntry]) -> list[str]:
    """The settings of each entry that are not the same in all, for example "attack.steps=20"."""
    every = [_flat_settings(entry.result) for entry in entries]
    keys: dict[str, None] = {}
    for settings in every:
        keys |= dict.fromkeys(settings)
    varying = [key for key in keys if len({settings.get(key, "") for settings in every}) > 1]
    texts = []
    for settings in every:
        texts.append(", ".join(f"{key}={settings.get(key, '')}" for key in varying))
    return texts


def _flat_settings(result: EvaluationResult) -> dict[str, str]:
    """What can tell apart two runs with the same labels; not the seed, as seeds are joined."""
    settings = {}
    for key, value in flat(identity(result.experiment)):
        settings[key.removesuffix(".option")] = value
    del settings["seed"]
    settings["data"] = result.data[:8]
    return settings


def _with_modalities(conditions: Sequence[ConditionResult], count: int) -> list[ConditionResult]:
    return [condition for condition in conditions if len(condition.modalities) == count]
