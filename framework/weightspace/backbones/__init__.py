"""Backbones: networks whose input is the weights of other networks, WeightBatch -> (B, out_dim)."""

from weightspace.backbones.artefact import load_backbone, save_backbone
from weightspace.backbones.base import Backbone
from weightspace.backbones.canonical import Canonical
from weightspace.backbones.dws import DWS
from weightspace.backbones.editor import Editor
from weightspace.backbones.embedding import embed
from weightspace.backbones.gnn import GNN
from weightspace.backbones.graph_transformer import GraphTransformer
from weightspace.backbones.grid_cnn import GridCNN
from weightspace.backbones.mlp import MLP
from weightspace.backbones.normaliser import Normaliser
from weightspace.backbones.phase_gnn import PhaseGNN
from weightspace.backbones.probe import Probe
from weightspace.backbones.scale_gnn import ScaleGNN
from weightspace.backbones.statistics import Statistics

__all__ = [
    "DWS",
    "GNN",
    "MLP",
    "Backbone",
    "Canonical",
    "Editor",
    "GraphTransformer",
    "GridCNN",
    "Normaliser",
    "PhaseGNN",
    "Probe",
    "ScaleGNN",
    "Statistics",
    "embed",
    "load_backbone",
    "save_backbone",
]
