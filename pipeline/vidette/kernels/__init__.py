"""numba kernels: pure functions on arrays, without the GIL. Each has a slow, obvious twin in tests/kernels/."""
