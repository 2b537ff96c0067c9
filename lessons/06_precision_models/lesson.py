# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Precision models: a language model that is solved, and a lamp that learns"
#   talk: "Williams, Transformers that transform well enough to support near-shallow architectures"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Precision models
