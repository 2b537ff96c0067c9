"""The hot operations, each written in several ways: see `minilm.kernels.dispatch`."""

import importlib
import pkgutil

from minilm.kernels.dispatch import TIERS, Kernel, in_use, is_overridden, kernels, use

# A folder and its main kernel share a name. Importing a folder binds that name here, so all folders
# are imported (each holds only a docstring) before the kernels take the names.
for _folder in pkgutil.iter_modules(__path__):
    if _folder.ispkg:
        importlib.import_module(f"{__name__}.{_folder.name}")

softmax = Kernel("softmax", "softmax")
softmax_backward = Kernel("softmax_backward", "softmax")
log_softmax = Kernel("log_softmax", "softmax")
log_softmax_backward = Kernel("log_softmax_backward", "softmax")
cross_entropy = Kernel("cross_entropy", "cross_entropy")
cross_entropy_backward = Kernel("cross_entropy_backward", "cross_entropy")
cross_entropy_with_gradient = Kernel("cross_entropy_with_gradient", "cross_entropy")
layer_norm = Kernel("layer_norm", "layer_norm")
layer_norm_backward = Kernel("layer_norm_backward", "layer_norm")
rms_norm = Kernel("rms_norm", "rms_norm")
rms_norm_backward = Kernel("rms_norm_backward", "rms_norm")
gelu = Kernel("gelu", "gelu")
gelu_backward = Kernel("gelu_backward", "gelu")
silu = Kernel("silu", "gelu")
silu_backward = Kernel("silu_backward", "gelu")
swiglu = Kernel("swiglu", "swiglu")
swiglu_backward = Kernel("swiglu_backward", "swiglu")
geglu = Kernel("geglu", "swiglu")
geglu_backward = Kernel("geglu_backward", "swiglu")
rope = Kernel("rope", "rope")
rope_rows = Kernel("rope_rows", "rope")
bias_activation = Kernel("bias_activation", "bias_activation")
bias_activation_backward = Kernel("bias_activation_backward", "bias_activation")
embedding_backward = Kernel("embedding_backward", "embedding")
adamw = Kernel("adamw", "adamw")
adamw_many = Kernel("adamw_many", "adamw")
sum_squares = Kernel("sum_squares", "adamw")
attention = Kernel("attention", "attention")
attention_backward = Kernel("attention_backward", "attention")
decode_step = Kernel("decode_step", "decode_step")
quantize_rows = Kernel("quantize_rows", "decode_step")
decode_attention = Kernel("decode_attention", "decode_attention")
paged_step = Kernel("paged_step", "paged_step")
quantize = Kernel("quantize", "quantized_matmul")
dequantize = Kernel("dequantize", "quantized_matmul")
quantized_matmul = Kernel("quantized_matmul", "quantized_matmul")
sort_by_expert = Kernel("sort_by_expert", "moe")
moe_permute = Kernel("moe_permute", "moe")
moe_permute_backward = Kernel("moe_permute_backward", "moe")
moe_combine = Kernel("moe_combine", "moe")
moe_combine_backward = Kernel("moe_combine_backward", "moe")
grouped_matmul = Kernel("grouped_matmul", "moe")
grouped_matmul_backward = Kernel("grouped_matmul_backward", "moe")
top_k = Kernel("top_k", "moe")
expert_mlp = Kernel("expert_mlp", "moe")
expert_mlp_backward = Kernel("expert_mlp_backward", "moe")
draw = Kernel("draw", "draw")
conv2d = Kernel("conv2d", "conv2d")
conv2d_input_gradient = Kernel("conv2d_input_gradient", "conv2d")
conv2d_weight_gradient = Kernel("conv2d_weight_gradient", "conv2d")
scan = Kernel("scan", "scan")
scan_backward = Kernel("scan_backward", "scan")
causal_conv = Kernel("causal_conv", "causal_conv")
causal_conv_backward = Kernel("causal_conv_backward", "causal_conv")
linear_attention = Kernel("linear_attention", "linear_attention")
linear_attention_backward = Kernel("linear_attention_backward", "linear_attention")

__all__ = ["TIERS", "Kernel", "in_use", "kernels", "is_overridden", "use"]
