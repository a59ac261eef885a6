"""What other trainers do in an iteration, written anew for `training.py`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.network import HardAttentionNet
from nogs_bench.tasks import GlimpseGrid, Task


class Authors:
    """One training iteration of the authors' trainer for each call, in CelebA-HQ's setting."""

    def __init__(self, task: Task, images: Callable[[Tensor], Tensor], labels: Tensor):
        self.task, self.images, self.labels = task, images, labels
        self.net = HardAttentionNet(task)
        self.baseline = nn.Linear(task.training.hidden, 1)
        parameters = [*self.net.parameters(), *self.baseline.parameters()]
        self.optimiser = torch.optim.Adam(parameters, lr=3e-4)
        self.pixels = task.grid.pixels.tolist()

    def __call__(self, rows: Tensor) -> None:
        net, size = self.net, self.task.glimpse_size
        images, labels = self.images(rows), self.labels[rows]
        state, log_ps, values = net.start(len(rows)), [], []
        for _ in range(self.task.T):
            chosen = torch.distributions.Categorical(torch.softmax(net.locate(state.detach()), 1))
            cells = chosen.sample()
            log_ps.append(chosen.log_prob(cells))
            values.append(self.baseline(state.detach())[:, 0])
            corners = [self.pixels[cell] for cell in cells.tolist()]
            patch = torch.stack(
                [
                    image[:, row : row + size, col : col + size]
                    for image, (row, col) in zip(images, corners, strict=True)
                ]
            )
            location = 2 * torch.tensor(corners, dtype=torch.float32) / 207 - 1
            state = net.look(state, patch, location)
        logits = net.classify(state)
        reward = (logits.argmax(1) == labels).float()
        error = reward[None] - torch.stack(values)
        reinforce = -(error.detach() * torch.stack(log_ps)).sum(0).mean()
        loss = functional.cross_entropy(logits, labels) + reinforce + error.square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


class PlainRam(nn.Module):
    """Recurrent attention as commonly written; one training iteration for each call.

    `grid`: locations to choose among; None for a normal distribution in the plane.
    """

    def __init__(self, grid: GlimpseGrid | None = None) -> None:
        super().__init__()
        self.corners = None if grid is None else torch.from_numpy(grid.pixels)
        choices = 2 if grid is None else grid.cells
        self.patch, self.place = nn.Linear(64, 128), nn.Linear(2, 128)
        self.what, self.where = nn.Linear(128, 256), nn.Linear(128, 256)
        self.input, self.hidden = nn.Linear(256, 256), nn.Linear(256, 256)
        self.locator = nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, choices))
        self.classifier, self.value = nn.Linear(256, 10), nn.Linear(256, 1)
        self.optimiser = torch.optim.Adam(self.parameters(), lr=3e-4)

    def forward(self, images: Tensor, labels: Tensor) -> None:
        n = len(images)
        state, location = torch.zeros(n, 256), torch.empty(n, 2).uniform_(-1, 1)
        log_ps, values = [], []
        for _ in range(6):
            corner = (0.5 * (location + 1) * 28).long()
            padded = functional.pad(images, (4, 4, 4, 4))
            seen = [
                padded[i, :, corner[i, 0] : corner[i, 0] + 8, corner[i, 1] : corner[i, 1] + 8]
                for i in range(n)
            ]
            what = self.what(torch.relu(self.patch(torch.stack(seen).flatten(1))))
            where = self.where(torch.relu(self.place(location)))
            state = torch.relu(self.input(torch.relu(what + where)) + self.hidden(state))
            log_p, location = self.choose(self.locator(state.detach()))
            log_ps.append(log_p)
            values.append(self.value(state.detach())[:, 0])
        logits = torch.log_softmax(self.classifier(state), 1)
        reward = (logits.detach().argmax(1) == labels).float()
        error = reward[None] - torch.stack(values)
        reinforce = -(error.detach() * torch.stack(log_ps)).sum(0).mean()
        loss = functional.nll_loss(logits, labels) + error.square().mean() + 0.01 * reinforce
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def choose(self, located: Tensor) -> tuple[Tensor, Tensor]:
        """The log-probability of a location drawn, and the location (n, 2) in -1 to 1."""
        if self.corners is None:
            chosen = torch.distributions.Normal(torch.tanh(located), 0.05)
            drawn = chosen.rsample().detach()
            return chosen.log_prob(drawn).sum(1), drawn.clamp(-1, 1)
        among = torch.distributions.Categorical(torch.softmax(located, 1))
        cells = among.sample()
        # Centres of glimpses, which the loop takes from images padded by half a glimpse.
        return among.log_prob(cells), (self.corners[cells].float() + 4) / 14 - 1


class RamNet(nn.Module):
    """`PlainRam`'s layers as a model of this package, which chooses among the grid's locations."""

    def __init__(self, task: Task):
        super().__init__()
        self.patch, self.place = nn.Linear(64, 128), nn.Linear(2, 128)
        self.what, self.where = nn.Linear(128, 256), nn.Linear(128, 256)
        self.input, self.hidden = nn.Linear(256, 256), nn.Linear(256, 256)
        self.locator = nn.Sequential(
            nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, task.grid.cells)
        )
        self.classifier = nn.Linear(256, 10)

    def start(self, n: int) -> Tensor:
        return self.hidden.weight.new_zeros(n, 256)

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        what = self.what(torch.relu(self.patch(patch.flatten(1))))
        where = self.where(torch.relu(self.place(location)))
        return torch.relu(self.input(torch.relu(what + where)) + self.hidden(state))

    def locate(self, state: Tensor) -> Tensor:
        return self.locator(state)

    def classify(self, state: Tensor) -> Tensor:
        return self.classifier(state)


def ram_products(cells: int) -> Callable[[int], None]:
    """The matrix products of an iteration of `RamNet`, forward and backward, and nothing else."""
    # (inputs, outputs, whether the input needs a gradient)
    seen = [(64, 128, 0), (2, 128, 0), (128, 256, 1), (128, 256, 1), (256, 256, 1), (256, 256, 1)]
    layers = [(torch.rand(128, i), torch.rand(i, o), torch.rand(128, o), g) for i, o, g in seen]
    # The location network detached from the state, on all six glimpses at once.
    layers += [
        (torch.rand(768, i), torch.rand(i, o), torch.rand(768, o), g)
        for i, o, g in [(256, 128, 0), (128, cells, 1)]
    ]

    def go(iterations: int) -> None:
        for _ in range(iterations):
            for x, weight, gradient, needed in layers:
                for _ in range(768 // len(x)):
                    torch.mm(x, weight)
                    torch.mm(x.T, gradient)
                    if needed:
                        torch.mm(gradient, weight.T)

    return go
