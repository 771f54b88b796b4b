class GRU(nn.GRU):
    def __init__(self, features, hidden, last):
        super().__init__(features, hidden, batch_first=True)
        self.last = last

    def forward(self, x):
        states, _ = super().forward(x)
        return states[:, -1] if self.last else states
