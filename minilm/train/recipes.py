"""A recipe: the model, the vocabulary and the numbers of training, as one small JSON object."""

import dataclasses
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilm.errors import InputError
from minilm.models import Config
from minilm.train.checkpoints import load_json


@dataclass(frozen=True)
class Recipe:
    """Everything `minilm train` must know besides the text.

    Attributes:
        model: fields of `minilm.models.Config`, all but vocab_size.
        vocab_size: of the tokenizer to learn; 256 is bytes.
        steps: how many.
        batch: sequences per step.
        lr: AdamW's peak learning rate.
        weight_decay: of matrices.
        warmup: steps of the rise.
        accumulate: batches averaged for one step.
        clip: largest gradient norm.
    """

    model: dict[str, Any]
    vocab_size: int = 2048
    steps: int = 1000
    batch: int = 16
    lr: float = 3e-3
    weight_decay: float = 0.1
    warmup: int = 50
    accumulate: int = 1
    clip: float = 1.0

    def config(self, vocab_size: int) -> Config:
        """The model's config for a tokenizer of that size.

        Raises:
            InputError: a field that the Config does not have or cannot use.
        """
        return Config.from_dict({**self.model, "vocab_size": vocab_size})

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)

    def training(self) -> dict[str, Any]:
        """The arguments of `train` that a recipe fixes."""
        names = ("steps", "batch", "lr", "weight_decay", "accumulate", "clip")
        chosen = {name: getattr(self, name) for name in names}
        return {**chosen, "warmup": min(self.warmup, self.steps)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Recipe":
        """The recipe that `to_dict` wrote, or one that names only what differs.

        Raises:
            InputError: an unknown field, a wrong type, or no model.
        """
        known = {f.name: f for f in dataclasses.fields(cls)}
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise InputError(f"a recipe has no field {unknown[0]!r}; it has {', '.join(known)}")
        if not isinstance(fields.get("model"), dict):
            raise InputError("a recipe needs a field 'model', an object of Config fields")
        if "vocab_size" in fields["model"]:
            raise InputError("vocab_size belongs beside 'model' in a recipe, not into it")
        for name, value in fields.items():
            if name != "model":
                _check_number(name, value, known[name].type is int)
        return cls(**fields)


def _check_number(name: str, value: Any, whole: bool) -> None:
    least = 0 if name in ("lr", "weight_decay", "warmup") else 1 if whole else sys.float_info.min
    good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not (good and least <= value < math.inf):
        kind = "a whole number" if whole else "a finite number"
        words = f"from {least}" if least in (0, 1) else "above 0"
        raise InputError(f"{name} of the recipe is {value!r}; it must be {kind} {words}")


def _llama(layers: int, heads: int, channels: int, context: int) -> dict[str, Any]:
    """RMS norm and RoPE without biases: what Llama has, at the size of a laptop."""
    return {
        "layers": layers,
        "heads": heads,
        "channels": channels,
        "context": context,
        "norm": "rms",
        "positions": "rope",
        "bias": False,
    }


RECIPES = {  # and roughly how long each takes on 2 cores
    "nano": Recipe(_llama(2, 2, 32, 64), 512, steps=500, batch=16, lr=1e-2),  # 10 seconds
    "micro": Recipe(_llama(3, 3, 96, 128), 2048, steps=3400, batch=8, lr=6e-3),  # 2 minutes
    "tiny": Recipe(_llama(4, 4, 128, 128), 2048, steps=10_000, batch=8, lr=5e-3),  # 12 minutes
    "small": Recipe(_llama(6, 6, 384, 256), 4096, steps=10_000, batch=16, lr=1e-3),  # 5 hours
}
DEFAULT = "micro"


def find_recipe(name: str) -> Recipe:
    """A recipe by name, or from a JSON file.

    Args:
        name: one of RECIPES or the path of a file.

    Raises:
        InputError: neither, or a file that does not hold a recipe.
    """
    if name in RECIPES:
        return RECIPES[name]
    if Path(name).is_file():
        return Recipe.from_dict(load_json(Path(name)))
    raise InputError(
        f"config is {name!r}; it must be {', '.join(RECIPES)} or the path of a JSON file"
    )
