"""The model in PyTorch: `load()` gives it with the parameters of model.safetensors.

python load.py                          prints the sizes of inputs, tensors and outputs
python load.py INPUTS.npy [OUTPUTS.npy] answers for these inputs

Needs torch, numpy and safetensors. What a number of the inputs means is in config.json.
"""

import sys
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file
from torch import nn

# One example.
INPUT = SIZES
ELEMENT = torch.ELEMENT


# HELPERS


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            # LAYERS
        )

    def forward(self, x):
        return self.layers(x.reshape(-1, *INPUT))


def load(path=Path(__file__).with_name("model.safetensors")):
    """The model with the parameters of a file, ready to give answers."""
    model = Model()
    model.load_state_dict(load_file(path))
    return model.eval()


@torch.no_grad()
def main(arguments):
    model = load()
    if arguments:
        inputs = torch.from_numpy(numpy.load(arguments[0])).to(ELEMENT)
    else:
        inputs = torch.zeros(1, *INPUT, dtype=ELEMENT)
        for name, tensor in model.state_dict().items():
            print(f"{name:<48} {tuple(tensor.shape)}")
        print(f"{sum(tensor.numel() for tensor in model.parameters())} trained parameters")
    outputs = model(inputs)
    print(f"inputs {tuple(inputs.shape)}, outputs {tuple(outputs.shape)}")
    if len(arguments) > 1:
        numpy.save(arguments[1], outputs.numpy())
    elif arguments:
        print(outputs)


if __name__ == "__main__":
    main(sys.argv[1:])
