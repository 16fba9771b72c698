"""The arm64 package on an ARM processor: the real binaries, run by QEMU's user-mode emulation.

`make arm` runs all of it; `make test` runs `test_unpacked.py`. What runs on the emulated processor
lies in `inside/` and takes nothing but the installed package (and for the counts, `bench`).
"""
