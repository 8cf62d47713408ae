"""The embedded data set: films of eleven instruments, drawn and synthesized from a seed.

>>> from avrobust.synthetic.generate import generate  # doctest: +SKIP
"""
