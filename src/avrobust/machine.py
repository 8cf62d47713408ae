"""How many jobs of a sweep this machine runs side by side; asks the driver, not torch."""

import os
from pathlib import Path


def side_by_side(per_gpu: int) -> int:
    """`per_gpu` on each visible GPU; without any, one for every two cores, but two at least."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible is not None else list(Path("/proc/driver/nvidia/gpus").glob("*"))
    count = len([gpu for gpu in gpus if str(gpu).strip() not in ("", "-1")])
    return count * max(1, per_gpu) or max(2, (os.cpu_count() or 1) // 2)
