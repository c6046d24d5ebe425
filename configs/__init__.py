"""Presets, a file for each paper: what departs from the paper's numbers.

The numbers themselves (learning rates, weights, sizes) stand once, with their sections: in the
`Hparams` of the paper's module in reenact_jax/systems/. `reenact-jax config NAME` prints both.
"""
