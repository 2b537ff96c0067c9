# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Long context: read everything"
#   talk: "Ming Ding: from language models to multimodal models"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Long context: read everything
