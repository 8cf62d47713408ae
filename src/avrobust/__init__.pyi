# The public names. lazy_loader reads this file at run time, mypy and editors read it for the types.

from .analyses.verdict.compute import judge as judge
from .attacks.apgd import APGD as APGD
from .attacks.av_auto import AVAuto as AVAuto
from .attacks.base import Attack as Attack
from .attacks.eot import EoT as EoT
from .attacks.fgsm import FGSM as FGSM
from .attacks.mim import MIM as MIM
from .attacks.mim_released import MIMReleased as MIMReleased
from .attacks.pgd import PGD as PGD
from .attacks.square import Square as Square
from .attacks.targeted import Targeted as Targeted
from .attacks.tma import TMA as TMA
from .attacks.transfer import Transfer as Transfer
from .errors import UserError as UserError
from .evaluation.evaluate import evaluate as evaluate
from .evaluation.summaries import summarize as summarize
from .threats import Budget as Budget
from .threats import Threat as Threat
from .threats import suite as suite
from .types import Batch as Batch
from .types import Clip as Clip
from .types import Record as Record
from .utils.version import __version__ as __version__
