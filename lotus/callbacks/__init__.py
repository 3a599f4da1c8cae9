"""What happens around training: the run's record, its predictions and its dashboard."""

from lotus.callbacks.best_checkpoint import BestCheckpoint
from lotus.callbacks.class_map_writer import ClassMapWriter
from lotus.callbacks.class_scores import ClassScores
from lotus.callbacks.classification_writer import ClassificationWriter
from lotus.callbacks.epoch_seed import EpochSeed
from lotus.callbacks.frozen_probes import FrozenProbes
from lotus.callbacks.overlay_images import OverlayImages
from lotus.callbacks.prediction_writer import PredictionWriter
from lotus.callbacks.run_record import RunRecord
from lotus.callbacks.slab_writer import SlabWriter

__all__ = [
    "BestCheckpoint",
    "ClassMapWriter",
    "ClassScores",
    "ClassificationWriter",
    "EpochSeed",
    "FrozenProbes",
    "OverlayImages",
    "PredictionWriter",
    "RunRecord",
    "SlabWriter",
]
