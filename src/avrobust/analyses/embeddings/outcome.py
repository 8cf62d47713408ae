"""What embeddings.json holds."""

from dataclasses import dataclass
from typing import Literal, final

from avrobust.evaluation.metrics import Compactness
from avrobust.types import Modality

# As the encoders give them; as a defense's restorers hand them to the fusion.
Stage = Literal["encoded", "restored"]
STAGES: tuple[Stage, Stage] = ("encoded", "restored")


@final
@dataclass(frozen=True)
class Cloud:
    """The embeddings of one modality under one condition."""

    condition: str  # the condition's name
    words: str  # the condition in words, for example "audio attacked"
    attacked: tuple[Modality, ...]  # modalities that the condition may change; none if clean
    compactness: Compactness | None  # of all clips; None with too few clips or classes
    points: tuple[tuple[float, float], ...]  # t-SNE of the drawn clips; none with too few clips


@final
@dataclass(frozen=True)
class EmbeddingSpace:
    """Clouds that share their axes: one modality's, clean and where a condition changes it."""

    stage: Stage
    modality: Modality
    clouds: tuple[Cloud, ...]  # clean first


@final
@dataclass(frozen=True)
class MeanCosine:
    """The audio-visual cosine of clips attacked within one budget."""

    eps: float
    mean: float
    deviation: float  # over clips


@final
@dataclass(frozen=True)
class CosineCurve:
    """The audio-visual cosine over eps under one condition, from eps 0 on."""

    stage: Stage
    condition: str  # the condition's name
    words: str  # the condition in words
    points: tuple[MeanCosine, ...]


@final
@dataclass(frozen=True)
class EmbeddingsOutcome:
    """The embeddings of a run's clips in numbers."""

    n: int  # clips
    eps: float  # of the run
    accuracy: dict[str, float]  # of the same clips, in percent by condition
    classes: tuple[str, ...]
    labels: tuple[int, ...]  # of the drawn clips, positions in the classes
    spaces: tuple[EmbeddingSpace, ...]
    cosines: tuple[CosineCurve, ...]
    no_cosine: str  # why there is no cosine; empty if there is one

    def spaces_at(self, stage: Stage) -> dict[Modality, EmbeddingSpace]:
        """The spaces of one stage by modality."""
        return {space.modality: space for space in self.spaces if space.stage == stage}
