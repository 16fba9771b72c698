"""The door on a real machine: Debian under QEMU with the kernel's own drivers of cameras, GPIO and
input, a TPM 2.0, and a plug that can be pulled."""
