"""MarioNETte's PCA landmark transformer (Ha et al. 2020): a landmark transfer for any generator.

    reenact-jax prepare bases --data DATA --out bases.npz
    reenact-jax train --config marionette --data DATA \\
        --config.hparams.bases=bases.npz --workdir out/marionette

Presets (after the colon):
  cpu    Three layers of 256, 20,000 steps: some minutes of one core.
  tiny   Seconds; for tests.

It needs landmarks with depth: tracks from `reenact-jax prepare synthetic` or `prepare videos`.
AAN's paper moves landmarks between people with it.
"""

from reenact_jax.train import config

PRESETS = {
    'cpu': {},
    'tiny': dict(layers=1, width=16, examples=8, frames=2, steps=4, components=(2, 2, 2, 2)),
}


def get_config(preset: str = 'cpu'):
    """Return the config of a preset."""
    return config.build('marionette', run={}, hparams=config.preset(PRESETS, preset))
