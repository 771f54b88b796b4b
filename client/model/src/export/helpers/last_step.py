class LastStep(nn.Module):
    def forward(self, x):
        return x[:, -1]
