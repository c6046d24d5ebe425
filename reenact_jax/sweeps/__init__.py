"""The tables of a paper: plan, data, trainings, measurements, text."""
