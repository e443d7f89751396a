"""Hint projections: a linear layer for each pair of layers, where student and teacher are not equally wide."""

import torch

from distill.layer_maps import LayerMap


class HintProjections(torch.nn.Module):
    """Takes student states of a pair's layer to the teacher's width; trained with the student, thrown away after.

    With equal widths there is nothing to learn and the states pass unchanged. The layers have no bias and start
    orthogonal, so that lengths and angles survive the first step. Source: FitNets, arXiv 1412.6550, section 2.2 (the
    regressor); TinyBERT, arXiv 1909.10351, equation 8 (linear, no bias).
    """

    def __init__(self, pairs: LayerMap, student_width: int, teacher_width: int, *, seed: int = 0) -> None:
        super().__init__()
        self.pairs, self.student_width, self.teacher_width = pairs, student_width, teacher_width
        self.layers = torch.nn.ModuleDict()
        if student_width == teacher_width:
            return
        draw = torch.Generator().manual_seed(seed)
        for student, teacher in pairs:
            layer = torch.nn.Linear(student_width, teacher_width, bias=False)
            torch.nn.init.orthogonal_(layer.weight, generator=draw)
            self.layers[self._key(student, teacher)] = layer

    def forward(self, student_ND: torch.Tensor, pair: tuple[int, int]) -> torch.Tensor:
        """(N, student width) to (N, teacher width), for one pair. Errors: ValueError for a pair or width unknown."""
        if pair not in self.pairs:
            raise ValueError(f"no projection was made for student layer {pair[0]} and teacher layer {pair[1]}")
        if student_ND.shape[-1] != self.student_width:
            raise ValueError(f"student states must be {self.student_width} wide, not {student_ND.shape[-1]}")
        if not len(self.layers):
            return student_ND
        layer = self.layers[self._key(*pair)]
        return layer(student_ND.to(layer.weight.dtype))

    @staticmethod
    def _key(student: int, teacher: int) -> str:
        return f"{student}-{teacher}"
