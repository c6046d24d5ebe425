"""Face reenactment in JAX: animate one portrait with the motion of another face."""

__version__ = '0.1.0'
