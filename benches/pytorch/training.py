"""The models of `cargo run --release --bin training` in PyTorch, trained in the same way.

Started by that program, which talks to it in JSON lines on standard input and output. Versions:
requirements.txt beside this file. The arguments are the number of threads and the device.
"""

import json
import sys
import time

import torch
from torch import nn

# Examples that batches are drawn from.
EXAMPLES = 1024

FEATURES, CLASSES, CONTEXT, VOCABULARY = 784, 10, 128, 65


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, 128)
        self.places = nn.Parameter(torch.randn(CONTEXT, 128) * 0.1)
        layer = nn.TransformerEncoderLayer(
            128, 4, 512, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(128)
        self.head = nn.Linear(128, VOCABULARY)
        mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
        self.register_buffer("mask", mask)

    def forward(self, x):
        x = self.tokens(x) + self.places
        x = self.blocks(x, mask=self.mask, is_causal=True)
        return self.head(self.norm(x)).flatten(0, 1)


def mlp():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(FEATURES, 256), nn.ReLU(), nn.Linear(256, CLASSES)
    )


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, CLASSES),
    )


def data(name):
    if name == "transformer":
        text = torch.randint(0, VOCABULARY, (EXAMPLES, CONTEXT + 1))
        return text[:, :-1].contiguous(), text[:, 1:].contiguous()
    return torch.rand(EXAMPLES, 1, 28, 28), torch.randint(0, CLASSES, (EXAMPLES,))


def train(device, name, batch, steps, warmup):
    torch.manual_seed(1)
    model = {"mlp": mlp, "cnn": cnn, "transformer": Transformer}[name]().to(device)
    inputs, wanted = (made.to(device) for made in data(name))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss_of = nn.CrossEntropyLoss()
    model.train()
    order, at, loss = torch.randperm(EXAMPLES), 0, 0.0
    for step in range(warmup + steps):
        if step == warmup:
            wall, cpu = time.perf_counter(), time.process_time()
        if at + batch > EXAMPLES:
            order, at = torch.randperm(EXAMPLES), 0
        numbers = order[at:at + batch]
        at += batch
        optimizer.zero_grad()
        value = loss_of(model(inputs[numbers]), wanted[numbers].flatten())
        value.backward()
        optimizer.step()
        loss = value.item()
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "loss": loss,
    }


def main():
    torch.set_num_threads(int(sys.argv[1]))
    device = torch.device(sys.argv[2])
    torch.zeros(1, device=device)  # A card that cannot be used is told now.
    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = train(device, asked["model"], asked["batch"], asked["steps"], asked["warmup"])
        print(json.dumps(answer), flush=True)


main()
