"""Why JAX is slow on a CPU: convolutions on maps smaller than their kernel.

    python benchmarks/jax_convolution.py            # needs JAX on a CPU

3 x 3 convolutions as they stand at the end of a ResNet-18 (batch 64, 512 channels), on
maps of 2 x 2 to 4 x 4, forward and for both gradients. XLA hands a convolution to a
fast library, but not where the kernel is larger than the map: there it loops. Written
as patches times a matrix, the same numbers come out at once.
"""

import time

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp


def main() -> None:
    for side in (2, 3, 4):
        rng = np.random.default_rng(0)
        x = jnp.asarray(rng.standard_normal((64, side, side, 512), "float32"))
        w = jnp.asarray(rng.standard_normal((3, 3, 512, 512), "float32"))
        np.testing.assert_allclose(convolution(x, w), patches(x, w), atol=2e-2)
        for name, function in (("convolution", convolution), ("patches", patches)):
            print(f"{side} x {side}, {name:12}", milliseconds(function, x, w))


def convolution(x, w):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=layout)


def patches(x, w):
    batch, height, width, channels = x.shape
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [x[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    rows = jnp.concatenate(shifted, axis=-1).reshape(-1, 9 * channels)
    return (rows @ w.reshape(9 * channels, -1)).reshape(batch, height, width, -1)


def milliseconds(function, x, w):
    def loss(x, w):
        return jnp.sum(function(x, w) ** 2)

    parts = {
        "forward": function,
        "with input gradient": jax.grad(loss, 0),
        "with kernel gradient": jax.grad(loss, 1),
    }
    return ", ".join(f"{n} {best(jax.jit(f), x, w):.0f} ms" for n, f in parts.items())


def best(function, x, w):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(function(x, w))
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


if __name__ == "__main__":
    main()
