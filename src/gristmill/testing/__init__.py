"""What users need to try and test their own batching: nothing here runs in production."""

from __future__ import annotations

from gristmill.testing.baselines import AdditiveIncrease, LatencyGradient
from gristmill.testing.handler_simulator import (
    Cost,
    Simulation,
    Sizer,
    affine,
    changing,
    cliff,
    drifting,
    noisy,
    simulate,
)

__all__ = [
    "AdditiveIncrease",
    "Cost",
    "LatencyGradient",
    "Simulation",
    "Sizer",
    "affine",
    "changing",
    "cliff",
    "drifting",
    "noisy",
    "simulate",
]
