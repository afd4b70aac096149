"""Graph layers against loops over single neurons, and what they are made of."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional as F
from weightspace.backbones import GNN, GraphTransformer
from weightspace.backbones.aggregation import EPSILON, statistics
from weightspace.backbones.gnn import GNNLayer
from weightspace.backbones.graph import FourierFeatures, Graph
from weightspace.backbones.graph_transformer import EdgeAttention, EdgeUpdate
from weightspace.spec import NetworkSpec

WIDTHS = (2, 4, 3, 1)


def random_graph(node: int, edge: int) -> Graph:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(2, *shape, dtype=torch.float64, generator=generator)

    pairs = list(itertools.pairwise(WIDTHS))
    edges = [draw(after, before, edge) for before, after in pairs]
    return Graph([draw(n, node) for n in WIDTHS], edges, [draw(before, after, edge) for before, after in pairs])


def test_statistics_are_those_of_torch() -> None:
    edges = random_graph(3, 5).edges[1]
    for dim, result in zip((2, 1), statistics(edges), strict=True):
        deviation = (edges.var(dim, correction=0) + EPSILON).sqrt()
        expected = torch.cat([edges.mean(dim), deviation, edges.amin(dim), edges.amax(dim)], dim=-1)
        assert torch.allclose(result, expected, atol=1e-12)


def test_the_gnn_is_a_loop_over_neurons() -> None:
    torch.manual_seed(0)
    layer, graph = GNNLayer(6).double(), random_graph(6, 6)
    result = layer(graph)
    nodes = [layer.norm(node) for node in graph.nodes]
    for batch in range(2):
        messages = {}
        for level, edges in enumerate(graph.edges):
            for i in range(edges.shape[1]):
                for j in range(edges.shape[2]):
                    e = edges[batch, i, j]
                    seen = (
                        layer.edge(e) + layer.target(nodes[level + 1][batch, i]) + layer.source(nodes[level][batch, j])
                    )
                    messages[level, i, j] = e + seen.tanh() * e
                    assert torch.allclose(result.edges[level][batch, i, j], messages[level, i, j], atol=1e-12)
        for level, node in enumerate(graph.nodes):
            for i in range(node.shape[1]):
                parts = [nodes[level][batch, i]]
                incoming = [m for (below, a, _), m in messages.items() if below == level - 1 and a == i]
                outgoing = [m for (below, _, b), m in messages.items() if below == level and b == i]
                for found in (incoming, outgoing):
                    if not found:
                        parts.append(torch.zeros(24, dtype=torch.float64))
                        continue
                    stack = torch.stack(found)
                    deviation = (stack.var(0, correction=0) + EPSILON).sqrt()
                    parts += [stack.mean(0), deviation, stack.amin(0), stack.amax(0)]
                expected = node[batch, i] + layer.node(torch.cat(parts))
                assert torch.allclose(result.nodes[level][batch, i], expected, atol=1e-12)


def test_attention_is_a_loop_over_neurons() -> None:
    torch.manual_seed(0)
    heads, size = 2, 3
    attention, graph = EdgeAttention(5, 4, heads * size, heads).double(), random_graph(5, 4)
    results = attention(graph)
    values = attention.value.permute(0, 2, 1).reshape(heads * size, 4)  # V as a matrix on edges
    for level, node in enumerate(graph.nodes):
        for i in range(node.shape[1]):
            neighbours = []
            if level > 0:
                neighbours += [
                    (other, graph.edges[level - 1][0, i, j]) for j, other in enumerate(graph.nodes[level - 1][0])
                ]
            if level < len(graph.nodes) - 1:
                neighbours += [(other, graph.back[level][0, i, j]) for j, other in enumerate(graph.nodes[level + 1][0])]
            q = attention.node(node[0, i]).chunk(3)[0]
            scores, contents = [], []
            for other, edge in neighbours:
                _, k, v = attention.node(other).chunk(3)
                q_edge, k_edge, factor = attention.edge(edge).chunk(3)
                product = (q + q_edge) * (k + k_edge)
                scores.append(product.view(heads, size).sum(1) / size**0.5)
                contents.append(v * factor + values @ edge)
            weights = torch.stack(scores).softmax(0)  # (neighbours, heads)
            mixed = (weights.repeat_interleave(size, dim=1) * torch.stack(contents)).sum(0)
            assert torch.allclose(results[level][0, i], attention.out(mixed), atol=1e-12)


def test_edges_see_their_ends_and_their_reverse() -> None:
    torch.manual_seed(0)
    update, graph = EdgeUpdate(5, 4, 6).double(), random_graph(5, 4)
    result = update(graph)
    for level, (edges, back) in enumerate(zip(graph.edges, graph.back, strict=True)):
        for i in range(edges.shape[1]):
            for j in range(edges.shape[2]):
                below, above = graph.nodes[level][0, j], graph.nodes[level + 1][0, i]
                for own, reverse, source, target, found in (
                    (edges[0, i, j], back[0, j, i], below, above, result.edges[level][0, i, j]),
                    (back[0, j, i], edges[0, i, j], above, below, result.back[level][0, j, i]),
                ):
                    seen = update.own(own) + update.reverse(reverse) + update.source(source) + update.target(target)
                    x = update.norm_first(own + update.out(F.silu(seen)))
                    assert torch.allclose(update.norm_second(x + update.perceptron(x)), found, atol=1e-12)


def test_the_transformer_has_the_published_size() -> None:
    model = GraphTransformer(NetworkSpec((2, 32, 32, 1), "sine", 30.0), 10)
    count = sum(p.numel() for p in model.parameters())
    assert count == pytest.approx(376_586, rel=0.05)


@pytest.mark.parametrize("cls", [GNN, GraphTransformer])
def test_many_weights_are_computed_in_small_chunks(cls) -> None:
    assert cls(NetworkSpec((2, 32, 32, 1)), 1).chunk == 16
    assert cls(NetworkSpec((2, 128, 128, 128, 1)), 1).chunk == 1
    assert cls(NetworkSpec((2, 32, 32, 1)), 1, chunk=5).chunk == 5


def test_fourier_features() -> None:
    features = FourierFeatures(3)
    x = torch.randn(2, 4)
    result = features(x)
    assert result.shape == (2, 4, 7)
    assert torch.equal(result[..., 0], x)
    for k, frequency in enumerate(features.frequencies):
        assert torch.allclose(result[..., 1 + k], (2 * torch.pi * frequency * x).sin(), atol=1e-5)
        assert torch.allclose(result[..., 4 + k], (2 * torch.pi * frequency * x).cos(), atol=1e-5)
    assert FourierFeatures(0)(x).shape == (2, 4, 1)
