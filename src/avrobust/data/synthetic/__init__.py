"""The embedded data set: films of eleven instruments, drawn and synthesised from a seed.

>>> from avrobust.data.synthetic.generate import generate  # doctest: +SKIP
"""
