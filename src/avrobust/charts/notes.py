"""What the marks of a chart say on the page when the pointer rests on them, and where they lead."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, final

if TYPE_CHECKING:
    from matplotlib.artist import Artist


class Note(NamedTuple):
    """The note of one mark."""

    text: str
    link: str = ""  # an anchor of the page, for example "#run-..."


@final
class Notes:
    """The notes of one panel, by the gid of the artist that draws the marks."""

    def __init__(self) -> None:
        self.by_gid: dict[str, Sequence[Note]] = {}

    def add(self, artist: "Artist", notes: Sequence[Note]) -> None:
        """Attaches notes to an artist.

        Args:
            artist: draws the marks.
            notes: one for each mark, in the order in which they are drawn, or one for all of them.

        Raises:
            ValueError: If a link leads out of the page.
        """
        for note in notes:
            if note.link and not note.link.startswith("#"):
                raise ValueError(f"a chart links to anchors of its page, not to {note.link!r}")
        gid = f"notes-{len(self.by_gid)}"
        artist.set_gid(gid)
        self.by_gid[gid] = notes
