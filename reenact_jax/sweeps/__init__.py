"""A paper's table of ablations: plan, data, trainings, measurements, text."""
