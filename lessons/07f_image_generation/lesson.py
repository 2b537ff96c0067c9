# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Images as tokens: universal, and best at nothing"
#   talk: "From Large Language Models to Large Multimodal Models"
#   speaker: "Ming Ding"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Images as tokens
