"""CPU time of the first order motion model at the size of vox-256, ours or the official program's.

    taskset -c 1 python tests/parity/speed_fomm.py              # ours, with this package
    taskset -c 1 python tests/parity/speed_fomm.py CHECKOUT     # the official one, with PyTorch

Prints the seconds of processor time of a frame (the driver's keypoints and the image; the official
generator also encodes the source for each frame) and of a training step of one pair of frames, the
smaller of several: what else the machine does counts little. Weights are random.
"""

import sys
import time

import numpy as np

SIDE, FRAMES, STEPS = 256, 5, 3


def least(call, count: int) -> float:
    """Return the smallest processor time of `count` calls, seconds; the first does not count."""
    spent = []
    for _ in range(count + 1):
        begin = time.process_time()
        call()
        spent.append(time.process_time() - begin)
    return min(spent[1:])


def pair() -> np.ndarray:
    """Draw two images in [0, 1], channels last."""
    return np.random.default_rng(0).uniform(size=(2, 1, SIDE, SIDE, 3)).astype(np.float32)


def ours() -> dict[str, float]:
    """Measure this package."""
    import jax

    from reenact_jax.data.tracks import Batch, DataInfo
    from reenact_jax.nets import frozen_apply
    from reenact_jax.systems import fomm
    from reenact_jax.systems.fomm import generator
    from reenact_jax.train import step

    hp, data = fomm.Hparams(batch_size=1), DataInfo(identities=1, examples=40)
    nets = fomm.networks(hp, data)
    source, driving = pair()
    points = np.zeros((1, 2, 68, 2), np.float32)
    batch = Batch(2 * np.stack([source, driving], 1) - 1, points, identity=np.zeros(1, np.int32))
    variables = jax.jit(lambda key: fomm.init(hp, nets, key, batch))(jax.random.key(0))

    def frame(variables, look, driving):
        apply = frozen_apply(nets, variables)
        return generator.draw(hp, apply, look, generator.detect(hp, apply, driving)).image

    encode = jax.jit(lambda v, x: generator.encode(hp, frozen_apply(nets, v), x))
    look, draw = encode(variables, source), jax.jit(frame)
    seconds = {'frame': least(lambda: draw(variables, look, driving).block_until_ready(), FRAMES)}
    (stage,) = fomm.stages(hp, data)
    program = jax.jit(step.train_step(stage, nets), donate_argnums=0)
    constants, held = fomm.constants(hp, load=False), [step.start(stage, variables)]

    def one():
        held[0], metrics = program(held[0], constants, batch)
        jax.block_until_ready(metrics)

    return seconds | {'step': least(one, STEPS)}


def theirs() -> dict[str, float]:
    """Measure the official program, as its `train.py` and `demo.py` call it."""
    import make_fomm as official
    import torch

    torch.set_num_threads(1)
    config = official.configs('vox-256')
    params, common = config['model_params'], config['model_params']['common_params']
    kp = official.KPDetector(**params['kp_detector_params'], **common)
    generator = official.OcclusionAwareGenerator(**params['generator_params'], **common)
    judge = official.MultiScaleDiscriminator(**params['discriminator_params'], **common)
    source, driving = map(official.first, pair())
    kp.eval(), generator.eval()

    def frame():
        with torch.no_grad():
            return generator(source, kp_source=begun, kp_driving=kp(driving))

    with torch.no_grad():
        begun = kp(source)
    seconds = {'frame': least(frame, FRAMES)}
    kp.train(), generator.train()
    # Of no weight in vox-256, the discriminator is not called.
    whole = official.model.GeneratorFullModel(kp, generator, judge, config['train_params'])
    optimisers = [torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for net in (kp, generator)]

    def one():
        values, _ = whole({'source': source, 'driving': driving})
        sum(value.mean() for value in values.values()).backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()

    return seconds | {'step': least(one, STEPS)}


if __name__ == '__main__':
    for name, seconds in (theirs if len(sys.argv) > 1 else ours)().items():
        print(f'{name}: {seconds:.3f} s of processor time')
