"""The summary of a run of `avrobust prepare`."""

from collections import defaultdict
from typing import NamedTuple

from avrobust.data.layout import SPLITS, Split
from avrobust.preparation.manifest import ManifestRow


class PreparationSummary(NamedTuple):
    """The result of a run of `prepare`."""

    rows: tuple[ManifestRow, ...]  # one a clip, prepared or skipped
    made: int  # number of clips that this run has prepared; the others existed before
    drawn: bool  # whether the splits were drawn at random

    @property
    def prepared(self) -> tuple[ManifestRow, ...]:
        """The rows of the usable clips."""
        return tuple(row for row in self.rows if row.status == "ok")

    @property
    def sizes(self) -> dict[Split, int]:
        """Number of clips of each split."""
        sizes = {}
        for split in SPLITS:
            sizes[split] = sum(split in row.split.split() for row in self.prepared)
        return sizes

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Names of the skipped videos by the reason, the most frequent reason first.

        Numbers are removed from the reasons. The rows have the full text.
        """
        videos_by_reason: dict[str, list[str]] = defaultdict(list)
        for row in self.rows:
            if row.status == "skipped":
                videos_by_reason[row.note.partition(":")[0]].append(row.source)
        return dict(sorted(videos_by_reason.items(), key=lambda item: -len(item[1])))
