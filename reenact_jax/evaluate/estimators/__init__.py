"""Estimators of faces; each has a card, since numbers depend on what measured them."""

from reenact_jax.evaluate.estimators.attributes import Attributes, Faces
from reenact_jax.evaluate.estimators.brought import Brought
from reenact_jax.evaluate.estimators.cards import Card, table
from reenact_jax.evaluate.estimators.features import Features
from reenact_jax.evaluate.estimators.identity import Identity
from reenact_jax.evaluate.estimators.own import Own

__all__ = ['Attributes', 'Brought', 'Card', 'Faces', 'Features', 'Identity', 'Own', 'table']
