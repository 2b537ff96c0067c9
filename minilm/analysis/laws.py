"""Two laws of scaling and what follows from them: the loss at a size, the best size for a budget.

Losses are nats per token, sizes parameters, data tokens, compute FLOPs with C = 6 N D. A law whose
exponent is 0 says that the loss does not depend on that quantity: questions about how much of it is
needed have no answer then, and are refused.
"""

import math
from dataclasses import dataclass

import numpy as np

from minilm.errors import InputError


@dataclass(frozen=True)
class PowerLaw:
    """L(x) = E + A / x**alpha."""

    E: float
    A: float
    alpha: float
    objective: float = 0.0  # sum of the Huber losses of the log residuals of the fit

    def loss(self, x: float | np.ndarray) -> float | np.ndarray:
        """The loss at x."""
        return self.E + self.A * np.asarray(x, dtype=np.float64) ** -self.alpha

    @property
    def undetermined(self) -> tuple[str, ...]:
        """The constants that the points left open: E and A where x made no difference (alpha 0)."""
        return () if self.alpha > 0 else ("E", "A")

    def needed(self, loss: float) -> float:
        """The x at which the loss is reached; infinite at or below the floor E.

        Raises:
            InputError: alpha is 0.
        """
        _refuse_zero("needed", alpha=self.alpha)
        return _power(self.A / (loss - self.E), 1 / self.alpha) if loss > self.E else math.inf


@dataclass(frozen=True)
class Chinchilla:
    """L(N, D) = E + A / N**alpha + B / D**beta (2203.15556, equation 2)."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    objective: float = 0.0  # sum of the Huber losses of the log residuals of the fit

    def loss(self, size: float | np.ndarray, tokens: float | np.ndarray) -> float | np.ndarray:
        """Nats per token of a model of this many parameters after this many tokens."""
        size, tokens = np.asarray(size, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
        return self.E + self.A * size**-self.alpha + self.B * tokens**-self.beta

    @property
    def undetermined(self) -> tuple[str, ...]:
        """The constants that the points left open: a term with exponent 0 is part of the floor."""
        found = [n for n, power in (("A", self.alpha), ("B", self.beta)) if not power > 0]
        return ("E", *found) if found else ()

    @property
    def size_exponent(self) -> float:
        """a in N* proportional to C**a: beta / (alpha + beta).

        Raises:
            InputError: alpha or beta is 0.
        """
        _refuse_zero("size_exponent", alpha=self.alpha, beta=self.beta)
        return self.beta / (self.alpha + self.beta)

    def optimal(self, compute: float) -> tuple[float, float]:
        """The size and the tokens of least loss for this compute, C = 6 N D (equation 4).

        Raises:
            InputError: no compute, or alpha or beta is 0.
        """
        if compute <= 0:
            raise InputError(f"compute is {compute}; it must be above 0 FLOPs")
        _refuse_zero("optimal", alpha=self.alpha, beta=self.beta)
        # In logs, because with tiny exponents the power alone may leave the range of a float.
        ratio = math.log(self.alpha * self.A) - math.log(self.beta * self.B)
        log_size = (ratio + self.beta * math.log(compute / 6)) / (self.alpha + self.beta)
        return self._check_best(_exp(log_size), _exp(math.log(compute / 6) - log_size))

    def tokens_needed(self, size: float, loss: float) -> float:
        """Tokens that a model of this size needs to reach the loss; infinite if it never does.

        Raises:
            InputError: beta is 0.
        """
        _refuse_zero("tokens_needed", beta=self.beta)
        left = loss - self.E - self.A * size**-self.alpha
        return _power(self.B / left, 1 / self.beta) if left > 0 else math.inf

    def cheapest(self, loss: float) -> tuple[float, float]:
        """The size and tokens that reach this loss with the least compute.

        Raises:
            InputError: a loss at or below the floor, or alpha or beta is 0.
        """
        if loss <= self.E:
            raise InputError(f"loss is {loss}; it must be above the floor E = {self.E}")
        _refuse_zero("cheapest", alpha=self.alpha, beta=self.beta)
        # At the optimum alpha A / N^alpha = beta B / D^beta: each term's share of L - E is fixed.
        share = self.beta / (self.alpha + self.beta)
        size = _power(self.A / (share * (loss - self.E)), 1 / self.alpha)
        tokens = _power(self.B / ((1 - share) * (loss - self.E)), 1 / self.beta)
        return self._check_best(size, tokens)

    def _check_best(self, size: float, tokens: float) -> tuple[float, float]:
        """Size and tokens, if they are numbers that a model can have."""
        if not (0 < size < math.inf and 0 < tokens < math.inf):
            raise InputError(
                f"alpha is {self.alpha} and beta {self.beta}, so the best size and tokens come out "
                f"as {size} and {tokens}; they must be finite and above 0"
            )
        return size, tokens

    def overhead(self, size: float, tokens: float) -> tuple[float, float]:
        """What it costs to train this model instead of the compute-optimal one of equal loss.

        Returns:
            Extra training compute, and compute saved per generated token, as fractions: a
            smaller model trained for longer costs more to train and less to run.

        Raises:
            InputError: alpha or beta is 0.
        """
        best_size, best_tokens = self.cheapest(float(self.loss(size, tokens)))
        return size * tokens / (best_size * best_tokens) - 1, 1 - size / best_size


def _refuse_zero(what: str, **exponents: float) -> None:
    """Refuse a law whose loss does not fall with what the question is about."""
    for name, value in exponents.items():
        if not value > 0:
            raise InputError(
                f"{name} is {value}, a loss that does not fall; {what} needs {name} above 0"
            )


def _power(base: float, exponent: float) -> float:
    """base**exponent, inf where that is more than a float holds."""
    return _exp(exponent * math.log(base))


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.78 else math.inf


# Hoffmann et al. 2022: as printed, and the unrounded values behind the print.
HOFFMANN_ROUNDED = Chinchilla(1.69, 406.4, 410.7, 0.34, 0.28)
HOFFMANN = Chinchilla(
    math.exp(0.5267228), math.exp(6.0073404), math.exp(6.0179186), 0.33917084, 0.2849083
)
# A refit of 240 points read off the paper's figure (Besiroglu, Erdil, Barnett and You 2024,
# arXiv 2404.10102), as their public notebook prints it.
REFIT_2024 = Chinchilla(1.817236, 477.84, 2143.86, 0.347313, 0.367183)
