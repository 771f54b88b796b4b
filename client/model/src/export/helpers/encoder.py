class Encoder(nn.TransformerEncoder):
    """Blocks that are normalised before each part."""

    def __init__(self, layers, features, heads, ff, causal, dropout):
        block = nn.TransformerEncoderLayer(
            features, heads, ff, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        super().__init__(block, layers, enable_nested_tensor=False)
        self.causal = causal

    def forward(self, x):
        if not self.causal:
            return super().forward(x)
        steps = x.shape[1]
        later = torch.ones(steps, steps, dtype=torch.bool, device=x.device).triu(1)
        return super().forward(x, mask=later, is_causal=True)
