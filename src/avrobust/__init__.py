"""How robust are audio-visual models when their audio, video or both are attacked?

The public names are listed, with their modules, in `__init__.pyi` alone. A module is imported when
one of its names is first used: `import avrobust` imports no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
