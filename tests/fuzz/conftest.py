from tests.fuzz.rounds import rounds

__all__ = ["rounds"]
