"""Side-by-side benchmarks against the reference stack. `python -m bench` runs all of them.

Every side gets one thread. The libraries read these variables while they are loaded, so they are
set before anything else is imported.
"""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
