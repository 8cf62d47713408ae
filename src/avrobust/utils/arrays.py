"""The type of numpy arrays whose shape stands in a comment."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
