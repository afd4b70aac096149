"""Optimisers for the fit of SIRENs 2-32-32-1 to 28 x 28 images: PSNR after some steps, and the time of a step.

All begin with 0.3 of the initialisation of the recipe `dwsnets`, and are eager and written plainly, so that steps can
be compared; those but Adam are not in the package. With --zoos FOLDER each fits 2,000 training, 300 validation and
1,000 test objects and writes them as a zoo there, for experiments/fmnist/supervised.yaml.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from common import Report
from fitting import images
from torch import Tensor
from weightspace.batch import WeightBatch, pack_layers
from weightspace.fitting.initialise import initialise
from weightspace.fitting.job import ZooPlan
from weightspace.fitting.recipes import Recipe, load_recipe
from weightspace.sources import ImageSource
from weightspace.zoo.write import write_zoo

Params = list[Tensor]
START = load_recipe("dwsnets", {"init_scale": 0.3})
SPEC = START.spec(2, 1)
#: Factors of the learning rate: twice as high in the first layer, as in the recipe `quick`.
FIRST = (2.0, 2.0, 1.0, 1.0, 1.0, 1.0)


def forward(p: Params, x: Tensor) -> tuple[Params, Params, Tensor]:
    """Inputs (B, width, N) of the three layers, slopes of the two sine layers, output (B, 1, N)."""
    inputs, slopes = [x.expand(len(p[0]), -1, -1)], []
    for layer, omega in enumerate(SPEC.omegas):
        z = omega * (torch.bmm(p[2 * layer], inputs[-1]) + p[2 * layer + 1])
        inputs.append(z.sin())
        slopes.append(omega * z.cos())
    return inputs, slopes, torch.bmm(p[4], inputs[2]) + p[5] + SPEC.output_offset


def pull_back(p: Params, inputs: Params, slopes: Params, delta: Tensor) -> Params:
    """J^T delta as gradients of the parameters, for ``delta`` (B, 1, N) at the output."""
    grads: Params = []
    for layer in (2, 1, 0):
        grads = [torch.bmm(delta, inputs[layer].mT), delta.sum(2, keepdim=True), *grads]
        if layer:
            delta = torch.bmm(p[2 * layer].mT, delta) * slopes[layer - 1]
    return grads


def push_forward(p: Params, inputs: Params, slopes: Params, v: Params) -> Tensor:
    """J v (B, 1, N): the change of the output along a direction of the parameters."""
    t = slopes[0] * (torch.bmm(v[0], inputs[0]) + v[1])
    t = slopes[1] * (torch.bmm(v[2], inputs[1]) + v[3] + torch.bmm(p[2], t))
    return torch.bmm(v[4], inputs[2]) + v[5] + torch.bmm(p[4], t)


def solve_last(p: Params, hidden: Tensor, y: Tensor, ridge: float) -> None:
    """The last layer's least squares, with ``ridge`` times its squared distance from the current weights added."""
    h = torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1)
    error = y - SPEC.output_offset - torch.bmm(torch.cat([p[4], p[5]], dim=2), h)
    gram = torch.bmm(h, h.mT) / h.shape[2]
    gram.diagonal(dim1=1, dim2=2).add_(ridge)
    change = torch.cholesky_solve(torch.bmm(h, error.mT) / h.shape[2], torch.linalg.cholesky(gram)).mT
    p[4].add_(change[:, :, :-1])
    p[5].add_(change[:, :, -1:])


def orthogonal(g: Tensor) -> Tensor:
    """Muon's polar factor of (B, n, n): five Newton-Schulz steps (Jordan et al., 2024)."""
    m = g / (g.flatten(1).norm(dim=1).reshape(-1, 1, 1) + 1e-7)
    for _ in range(5):
        a = torch.bmm(m, m.mT)
        m = 3.4445 * m + torch.bmm(-4.7750 * a + 2.0315 * torch.bmm(a, a), m)
    return m


def first_order(
    p: Params, x: Tensor, y: Tensor, recipe: Recipe, factors: tuple[float, ...] = (1.0,) * 6,
    solve: tuple[int, float] | None = None, per_layer: bool = False, muon: float | None = None, soap: int | None = None,
) -> Params:  # fmt: skip
    """Adam with the recipe's rates, betas and schedule, and what is to be tried.

    Args:
        factors: of the learning rate, for W and b of each layer.
        solve: (every how many steps, ridge) to solve the last layer; if at every step, Adam leaves it alone.
        per_layer: one second moment for each matrix and each bias vector.
        muon: learning rate of Muon, which takes the hidden matrix.
        soap: steps between two QR steps of SOAP's bases (Vyas et al., arXiv 2409.11321), which take the hidden matrix.
    """
    (beta1, beta2), (m, v) = recipe.betas, ([torch.zeros_like(q) for q in p] for _ in range(2))
    shapes, bases = [torch.zeros(len(y), 32, 32) for _ in range(2)], [torch.eye(32).expand(len(y), 32, 32)] * 2
    for t in range(recipe.steps):
        inputs, slopes, output = forward(p, x)
        if solve and t % solve[0] == 0:
            solve_last(p, inputs[2], y, solve[1])
            output = torch.bmm(p[4], inputs[2]) + p[5] + SPEC.output_offset
        grads = pull_back(p, inputs, slopes, (output - y) * (2 / y.shape[2]))
        if soap:
            g = grads[2]
            for side, product in enumerate((torch.bmm(g, g.mT), torch.bmm(g.mT, g))):
                shapes[side] = product if t == 0 else 0.95 * shapes[side] + 0.05 * product
                if t == 0:
                    bases[side] = torch.linalg.eigh(shapes[side])[1]
                elif t % soap == 0:
                    bases[side] = torch.linalg.qr(torch.bmm(shapes[side], bases[side]))[0]
        for i, (q, g) in enumerate(zip(p, grads, strict=True)):
            if solve and solve[0] == 1 and i >= 4:
                continue
            if muon and i == 2:
                m[i].mul_(0.9).add_(g)
                q.sub_(muon * recipe.rate(t) / recipe.rate(recipe.steps // 2) * orthogonal(g + 0.9 * m[i]))
                continue
            turned = bases[0].mT @ g @ bases[1] if soap and i == 2 else g
            squares = turned.square().mean((1, 2), keepdim=True) if per_layer else turned.square()
            m[i].mul_(beta1).add_(g, alpha=1 - beta1)
            v[i].mul_(beta2).add_((1 - beta2) * squares)
            mean = bases[0].mT @ m[i] @ bases[1] if soap and i == 2 else m[i]
            step = mean / (1 - beta1 ** (t + 1)) / ((v[i] / (1 - beta2 ** (t + 1))).sqrt() + recipe.epsilon)
            q.sub_(recipe.rate(t) * factors[i] * (bases[0] @ step @ bases[1].mT if soap and i == 2 else step))
    return p


def gauss_newton(p: Params, x: Tensor, y: Tensor, steps: int, inner: int) -> Params:
    """Levenberg-Marquardt with ``inner`` steps of conjugate gradients for each of the ``steps``.

    A network's damping falls to a fifth where the quadratic model was right, and grows fourfold where it was not.
    """
    scales = (0.03, 0.03, 0.03, 0.03, 0.1, 0.1)  # of a parameter's changes: the hidden weights are smaller
    damping = torch.full((len(y), 1, 1), 1e-4)

    def dot(a: Params, b: Params) -> Tensor:
        return torch.stack([(q * r).flatten(1).sum(1) for q, r in zip(a, b, strict=True)]).sum(0).reshape(-1, 1, 1)

    def scaled(a: Params) -> Params:
        return [q * s for q, s in zip(a, scales, strict=True)]

    for _ in range(steps):
        inputs, slopes, output = forward(p, x)
        error = output - y
        residual = [-g for g in scaled(pull_back(p, inputs, slopes, error / y.shape[2]))]
        change, direction, size = [torch.zeros_like(q) for q in p], residual, dot(residual, residual)
        for _ in range(inner):
            image = push_forward(p, inputs, slopes, scaled(direction)) / y.shape[2]
            curved = [
                h + damping * d for h, d in zip(scaled(pull_back(p, inputs, slopes, image)), direction, strict=True)
            ]
            length = size / dot(direction, curved).clamp_min(1e-30)
            change = [c + length * d for c, d in zip(change, direction, strict=True)]
            residual = [r - length * c for r, c in zip(residual, curved, strict=True)]
            before, size = size, dot(residual, residual)
            direction = [r + size / before.clamp_min(1e-30) * d for r, d in zip(residual, direction, strict=True)]
        moved = [q + c for q, c in zip(p, scaled(change), strict=True)]
        loss = error.square().mean(2, keepdim=True)
        expected = loss - (error + push_forward(p, inputs, slopes, scaled(change))).square().mean(2, keepdim=True)
        gained = loss - (forward(moved, x)[2] - y).square().mean(2, keepdim=True)
        better, share = gained > 0, gained / expected.clamp_min(1e-12)
        p = [torch.where(better, q, old) for q, old in zip(moved, p, strict=True)]
        damping = torch.where(better & (share > 0.75), damping / 5, torch.where(share < 0.25, damping * 4, damping))
    return p


def changed(**fields: object) -> Recipe:
    return load_recipe("quick", {"learning_rate": 4e-3, "steps": 150, **fields})


Fit = Callable[[Params, Tensor, Tensor], Params]
#: Name of a row and of its zoo: steps, and what is done.
TRIED: dict[str, tuple[int, Fit]] = {
    "fast": (200, partial(first_order, recipe=load_recipe("fast"))),
    "adam": (150, partial(first_order, recipe=changed(), factors=FIRST)),
    "adam_one_rate": (150, partial(first_order, recipe=changed())),
    "adam_long_moments": (150, partial(first_order, recipe=changed(betas=[0.9, 0.999]), factors=FIRST)),
    "adam_cosine": (150, partial(first_order, recipe=changed(schedule="cosine"), factors=FIRST)),
    "per_layer": (150, partial(first_order, recipe=changed(), factors=FIRST, per_layer=True)),
    "muon": (150, partial(first_order, recipe=changed(betas=[0.9, 0.95]), factors=FIRST, muon=0.003)),
    "soap": (150, partial(first_order, recipe=changed(learning_rate=2e-3, betas=[0.9, 0.95]), factors=FIRST, soap=5)),
    "solve_1": (
        120,
        partial(first_order, recipe=changed(steps=120, betas=[0.95, 0.95]), factors=FIRST, solve=(1, 1.0)),
    ),
    "solve_20": (150, partial(first_order, recipe=changed(betas=[0.95, 0.95]), factors=FIRST, solve=(20, 1.0))),
    "gauss_newton": (220, partial(gauss_newton, steps=20, inner=10)),
}


def fit_block(fit: Fit, source: ImageSource, objects: Tensor) -> tuple[Tensor, Tensor]:
    """(n, P) parameters and (n,) PSNR in dB of networks for some objects."""
    batch = WeightBatch(initialise(START, SPEC, 0, [(int(item), 0, 0) for item in objects]), SPEC)
    p = [q for w, b in zip(batch.weights, batch.biases, strict=True) for q in (w.clone(), b.unsqueeze(2).clone())]
    x, y = source.coordinates().T.contiguous(), source.values(objects).mT.contiguous()
    p = fit(p, x, y)
    psnr = -10 * (forward(p, x)[2] - y).square().mean((1, 2)).log10()
    return pack_layers(p[0::2], [bias.squeeze(2) for bias in p[1::2]]), psnr


def write(folder: Path, name: str, fit: Fit, source: ImageSource) -> None:
    rows = ZooPlan(train=2000, val=300, test=1000, seed=0).rows(source)
    parts = [fit_block(fit, source, block) for block in rows["object"].split(32)]
    params, psnr = (torch.cat(part) for part in zip(*parts, strict=True))
    write_zoo(
        folder / name, params, SPEC, targets=torch.from_numpy(source.targets)[rows["object"]],
        names=source.class_names, objects=rows["object"], splits=rows["split"].long(), quality={"psnr": psnr},
    )  # fmt: skip


def main() -> None:
    report = Report(
        __doc__ or "", host_only="its optimisers are compared on the CPU", zoos="write zoos into this folder"
    )
    source = images()
    count = 16 if report.quick else 64
    base = None
    for name, (steps, fit) in TRIED.items():
        start = time.perf_counter()
        psnr = fit_block(fit, source, torch.arange(count))[1]
        taken = time.perf_counter() - start
        report.add(f"{name}: {steps} steps", float(psnr.mean()), "dB")
        row = report.add(f"{name}: step of a network", 1e6 * taken / steps / count, "us", base)
        base = base or row
        if report.options.zoos:
            write(Path(report.options.zoos), name, fit, source)
    report.finish()


if __name__ == "__main__":
    main()
