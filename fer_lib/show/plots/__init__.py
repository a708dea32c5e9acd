"""Figures from arrays and frames, in one style.

Every function returns a :class:`matplotlib.figure.Figure` that is already closed in pyplot: as the last
line of a notebook cell it is shown once, and ``figure.savefig(path)`` keeps it. All figures are 6.4 inches
wide with text that stays readable at 700 and 390 pixels. Fractions come in as [0, 1] and are drawn in
per cent.

Expressions and models keep their colour (and expressions their marker) in every figure. Colours are of
the Okabe-Ito and ColorBrewer palettes and were chosen to stay apart for colour-blind readers.
"""

from fer_lib.show.plots.charts import class_balance, confusion, embedding, embeddings, per_class_bars
from fer_lib.show.plots.effects import forest, waterfall
from fer_lib.show.plots.pictures import contact_sheet, grad_cam_gallery, sift_keypoints, visual_words
from fer_lib.show.plots.training import curves, learning_size

__all__ = ["class_balance", "confusion", "contact_sheet", "curves", "embedding", "embeddings", "forest"]
__all__ += ["grad_cam_gallery", "learning_size", "per_class_bars", "sift_keypoints", "visual_words"]
__all__ += ["waterfall"]
