"""Random generators derived from (seed, purpose), so that one draw never moves another."""

import hashlib

import torch


def seed_for(seed: int, *purpose: object) -> int:
    """A 63-bit seed that depends on nothing but its arguments."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A CPU generator for one purpose, for example `generator(0, "shuffle", epoch)`."""
    return torch.Generator().manual_seed(seed_for(seed, *purpose))
