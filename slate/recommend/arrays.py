"""The array types that stages hand to each other."""

import numpy as np
import numpy.typing as npt

#: Catalogue rows.
Rows = npt.NDArray[np.int32]
#: Positions into an array of rows.
Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
