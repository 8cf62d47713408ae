"""Which clips a finished run recognizes, read from its examples.csv.

The file says what each attack itself did. Here as in result.json, a clip that one attack fools is
fooled under every attack whose budgets hold that one's.
"""

import sys
from pathlib import Path

from avrobust.evaluation.summaries import Recognized, worst_of_nested
from avrobust.experiments.kept_clips import RECORDS_FILE, read_columns
from avrobust.experiments.results import EvaluationResult


def read_recognized(folder: Path, result: EvaluationResult) -> Recognized:
    """Whether the model is right on each clip, by condition and the clip's key.

    Args:
        folder: of the run.
        result: of the run.

    Returns:
        Nothing if the file is not there.
    """
    path = folder / RECORDS_FILE
    recognized: Recognized = {}
    if not path.is_file():
        return recognized
    for key, condition, correct in read_columns(path, "key", "condition", "correct"):
        # One string for all runs: many runs have the same clips.
        recognized.setdefault(condition, {})[sys.intern(key)] = correct == "True"
    nested = {condition.name: condition.nested for condition in result.conditions}
    return worst_of_nested(recognized, nested)
