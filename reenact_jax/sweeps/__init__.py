"""The parts of launch/sweep.py: plan, data, trainings, measurements, text."""
