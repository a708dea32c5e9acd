"""The library behind the FER reproducibility companion.

Import the module you need (``from fer_lib import claims, datasets, training``); nothing heavy is loaded
until then.
"""

__version__ = "0.1.0"
