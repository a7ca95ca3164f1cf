"""From a suite file to train units and cells, as pure data and without torch."""

from vqbench.plan.build import PlanFilter, build_plan
from vqbench.plan.matrix import Cell, Component, Plan, Skip, TrainUnit
from vqbench.plan.recipe import Recipe
from vqbench.plan.suite import Suite, load_suite
from vqbench.plan.timing import Dtype, Setting, Stage, Timing

__all__ = [
    "Cell",
    "Component",
    "Dtype",
    "Plan",
    "PlanFilter",
    "Recipe",
    "Setting",
    "Skip",
    "Stage",
    "Suite",
    "Timing",
    "TrainUnit",
    "build_plan",
    "load_suite",
]
