"""Progress of a sweep's trainings, so that a table can be written before all are finished."""

from reenact_jax.common import command_line
from reenact_jax.sweeps.plan import Row, Table
from reenact_jax.sweeps.training import Training
from reenact_jax.train import command as train
from reenact_jax.train import config, feed
from reenact_jax.train.checkpoints import digests
from reenact_jax.train.checkpoints.places import places


def missing(trainings: list[Training]) -> dict[tuple[str, int], str]:
    """List the trainings that are not finished: (model, seed) -> how far it is."""
    standings = {(one.model, one.seed): standing(one) for one in trainings}
    return {key: text for key, text in standings.items() if text}


def standing(training: Training) -> str:
    """Tell how far a training is; empty: finished. Names of files are read, no weights."""
    values = command_line.parse(train.define_flags, training.arguments, ('config',))
    module, run, hparams = config.resolve(config.to_json(values.config))
    _, info, _ = feed.open_data(run)
    number, last = list(config.chosen(module.stages(hparams, info), run).items())[-1]
    for place in places(training.workdir):
        if (place.inside(training.workdir) / digests.NAME).exists():
            if (place.number, place.step) >= (number, last.steps):
                return ''
            return f'at step {place.step} of stage {place.stage}'
    return 'no checkpoint yet'


def waiting(table: Table, unfinished: dict[tuple[str, int], str]) -> list[Row]:
    """List the rows that need a model of which at least one seed is not finished."""
    models = {model for model, _ in unfinished}
    return [row for row in table.rows if {row.generator, row.transfer} & models]
